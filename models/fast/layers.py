"""The layers of a ``torch.nn`` module as linear maps with activations between them."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor, nn

from models.fast.activations import BatchNormReLU, ReLU
from models.fast.linear_maps import Convolution, Dense, LinearMap, TransposedConvolution
from models.fast.window import Window
from models.training.stacked_parameters import StackedParameters

IMAGE_SHAPE = (1, 28, 28)  # channels, height, width of the input of a first convolution
LONGEST_BLOCK = 4  # positions that share a patch of a one-channel map; 6 is as fast
Shape = tuple[int, ...]  # of one image's values as torch has them: (features,) or (c, h, w)
NamedModule = tuple[str, nn.Module]


class Layer(NamedTuple):
    """A linear map with its activation, and the numbers of its input and output values per image.

    ``shape`` is the shape of one image's output values. ``output_bias`` and its gradient are set
    for a last convolution, whose output goes through a sigmoid.
    """

    linear_map: LinearMap
    inputs: int
    outputs: int
    shape: Shape
    activation: ReLU | BatchNormReLU | None
    output_bias: tuple[Tensor, Tensor] | None


def layers_of(module: nn.Module, parameters: StackedParameters) -> list[Layer]:
    """The layers of a module in the order of their definition, with the weights of ``parameters``.

    Raises TypeError for a layer that has no counterpart here.
    """
    # TRAP: definition order is taken for forward order, because ``forward`` is never run. A module
    # that runs its layers in another order, skips one, uses one twice or computes anything between
    # them gets wrong results and no error. What is checked is the type of each module that follows
    # a linear map. Right, as in the written study's networks, are
    # - images (1, 28, 28); kernels, strides and paddings alike in both directions; no dilation, no
    #   groups; biases everywhere; nothing before the first linear map
    # - convolution, batch norm, ReLU: the ReLU is applied even if it is missing, and without batch
    #   norm the convolution has no bias
    # - a last convolution with a sigmoid, which is applied even if it is missing; a sigmoid
    #   elsewhere is ignored
    # - where the module is trained, no activation but that sigmoid after the last layer
    layers = []
    shape: Shape | None = None
    for (name, layer), followers in _layers_with_followers(module):
        if shape is None:
            shape = (layer.in_features,) if isinstance(layer, nn.Linear) else IMAGE_SHAPE
        input_shape, output_shape = shape, _output_shape(layer, shape)
        shape = output_shape
        activation: ReLU | BatchNormReLU | None = None
        for follower_name, follower in followers:
            if isinstance(follower, nn.BatchNorm2d):
                map_size = output_shape[1:]
                activation = BatchNormReLU(parameters, follower_name, name, map_size, follower)
            elif isinstance(follower, nn.ReLU):
                activation = activation or ReLU()
            elif isinstance(follower, nn.Unflatten):
                shape = tuple(follower.unflattened_size)
            elif not isinstance(follower, nn.Flatten | nn.Sigmoid | nn.Identity):
                kind = type(follower).__name__
                raise TypeError(
                    f"{follower_name}: {kind} is not supported; see models/fast/layers.py"
                )
        weight, bias = (parameters.weight(f"{name}.{part}") for part in ("weight", "bias"))
        if isinstance(layer, nn.Linear):
            linear_map: LinearMap = Dense(weight, bias, input_shape, shape)
        elif isinstance(layer, nn.Conv2d):
            linear_map = Convolution(_window(layer, input_shape, output_shape[1]), weight)
        elif isinstance(layer, nn.ConvTranspose2d):
            window = _window(layer, output_shape, input_shape[1])
            linear_map = TransposedConvolution(window, weight)
        is_last_convolution = not isinstance(layer, nn.Linear) and activation is None
        layers.append(
            Layer(
                linear_map,
                inputs=math.prod(input_shape),
                outputs=math.prod(output_shape),
                shape=output_shape,
                activation=activation,
                output_bias=bias if is_last_convolution else None,
            )
        )
    return layers


def _layers_with_followers(module: nn.Module) -> Iterator[tuple[NamedModule, list[NamedModule]]]:
    """Every linear layer or convolution, and the modules defined between it and the next."""
    leaves = [(n, m) for n, m in module.named_modules() if next(m.children(), None) is None]
    starts = [
        index
        for index, (_, leaf) in enumerate(leaves)
        if isinstance(leaf, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)
    ]
    for start, end in zip(starts, [*starts[1:], len(leaves)], strict=True):
        yield leaves[start], leaves[start + 1 : end]


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


def _window(layer: nn.Conv2d | nn.ConvTranspose2d, large_shape: Shape, small_size: int) -> Window:
    """The window of a convolution over its larger maps, with a position per small-map pixel."""
    channels, size, _ = large_shape
    longest = LONGEST_BLOCK if channels == 1 else 1
    block = max(b for b in range(1, longest + 1) if small_size % b == 0)
    kernel, stride, padding = layer.kernel_size[0], layer.stride[0], int(layer.padding[0])
    return Window(kernel, stride, padding, size, channels, small_size, block)
