"""The layers of a ``torch.nn`` module as linear maps with activations between them."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor, nn

from models.fast.activations import BatchNormReLU, ReLU
from models.fast.linear_maps import Convolution, Dense, LinearMap, TransposedConvolution
from models.fast.window import Window
from models.training.stacked_parameters import StackedParameters

IMAGE = (1, 28, 28)  # channels, height, width of what a first convolution takes
LONGEST_BLOCK = 4  # positions that share a patch of a one-channel map; 4 and 6 measure alike
Shape = tuple[int, ...]  # of one image's values as torch has them: (features,) or (c, h, w)


class Layer(NamedTuple):
    """A linear map with its activation, and how many values per image it takes and gives.

    ``shape`` is that of the values given, as torch has them: (features,) or (c, h, w).
    ``output_bias`` and its gradient belong to a last convolution, which ends in a sigmoid.
    """

    map: LinearMap
    inputs: int
    outputs: int
    shape: Shape
    activation: ReLU | BatchNormReLU | None
    output_bias: tuple[Tensor, Tensor] | None


def layers_of(module: nn.Module, parameters: StackedParameters) -> list[Layer]:
    """The layers of a module in the order of their definition, on these weights.

    Raises TypeError for a layer that has no counterpart here.
    """
    found = []
    shape: Shape | None = None
    for name, layer, followers in _groups(module):
        if shape is None:
            shape = (layer.in_features,) if isinstance(layer, nn.Linear) else IMAGE
        before, after = shape, _output_shape(layer, shape)
        shape = after
        activation: ReLU | BatchNormReLU | None = None
        for follower_name, follower in followers:
            if isinstance(follower, nn.BatchNorm2d):
                activation = BatchNormReLU(parameters, follower_name, name, after[1:], follower)
            elif isinstance(follower, nn.ReLU):
                activation = activation or ReLU()
            elif isinstance(follower, nn.Unflatten):
                shape = tuple(follower.unflattened_size)
            elif not isinstance(follower, nn.Flatten | nn.Sigmoid | nn.Identity):
                raise TypeError(f"{follower_name}: {type(follower).__name__} is not supported")
        weight, bias = (parameters.weight(f"{name}.{part}") for part in ("weight", "bias"))
        if isinstance(layer, nn.Linear):
            linear: LinearMap = Dense(weight, bias, before, shape)
        elif isinstance(layer, nn.Conv2d):
            linear = Convolution(_window(layer, before, after[1]), weight)
        elif isinstance(layer, nn.ConvTranspose2d):
            linear = TransposedConvolution(_window(layer, after, before[1]), weight)
        ends = not isinstance(layer, nn.Linear) and activation is None
        sizes = math.prod(before), math.prod(after)
        found.append(Layer(linear, *sizes, after, activation, bias if ends else None))
    return found


def _groups(module: nn.Module) -> Iterator[tuple[str, nn.Module, list[tuple[str, nn.Module]]]]:
    """Every layer with weights, and what stands between it and the next."""
    leaves = [(n, m) for n, m in module.named_modules() if next(m.children(), None) is None]
    heads = [
        index
        for index, (_, leaf) in enumerate(leaves)
        if isinstance(leaf, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
    ]
    for index, end in zip(heads, [*heads[1:], len(leaves)], strict=True):
        yield *leaves[index], leaves[index + 1 : end]


def _output_shape(layer: nn.Module, shape: Shape) -> Shape:
    if isinstance(layer, nn.Linear):
        return (layer.out_features,)
    assert isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    kernel, stride, padding = layer.kernel_size[0], layer.stride[0], int(layer.padding[0])
    if isinstance(layer, nn.Conv2d):
        size = (shape[1] + 2 * padding - kernel) // stride + 1
    else:
        size = (shape[1] - 1) * stride - 2 * padding + kernel + layer.output_padding[0]
    return (layer.out_channels, size, size)


def _window(layer: nn.Conv2d | nn.ConvTranspose2d, large: Shape, count: int) -> Window:
    """The window of a convolution over its larger maps."""
    channels, size, _ = large
    longest = LONGEST_BLOCK if channels == 1 else 1
    block = max(b for b in range(1, longest + 1) if count % b == 0)
    padding = int(layer.padding[0])
    return Window(layer.kernel_size[0], layer.stride[0], padding, size, channels, count, block)
