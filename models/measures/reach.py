"""Which pixels a network can see or change, whatever its weights and inputs are.

Strides and paddings can leave pixels that no unit of an encoder reads, or that no latent vector of
a decoder changes. The reconstruction there is a constant, so these pixels add an error that no
training removes.
"""

import copy
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Generator, Tensor, nn
from torch.autograd import functional

DRAWS = 32  # sets of random weights; a pixel that one of them reaches is reached
PART = 1_000  # images that are in double precision at once
INPUTS = 4  # random inputs for each set of weights


def unseen_inputs(module: nn.Module, shape: Sequence[int], generator: Generator) -> Tensor:
    """Mask of the entries of an input on which no output depends, of the same shape as one input.

    The gradients of random sums of the outputs are united over random weights and inputs. They are
    computed in double precision and in evaluation mode. An entry counts as seen if one gradient is
    not exactly zero.
    """
    seen = torch.zeros(tuple(shape), dtype=torch.bool)
    for network, x in _random_networks(module, shape, generator):
        x.requires_grad_()
        outputs = network(x)
        weights = torch.rand(outputs.shape, generator=generator, dtype=torch.double) + 0.5
        (gradient,) = torch.autograd.grad((outputs * weights).sum(), x)
        seen |= (gradient != 0).any(0)
    return ~seen


def unreachable_outputs(module: nn.Module, shape: Sequence[int], generator: Generator) -> Tensor:
    """Mask of the entries of an output that no input changes, of the same shape as one output.

    ``shape`` is that of one input.

    The derivatives of the outputs along random directions of the input are united over random
    weights and inputs, as in ``unseen_inputs``.
    """
    reached: Tensor | None = None
    for network, x in _random_networks(module, shape, generator):
        direction = torch.randn(x.shape, generator=generator, dtype=torch.double)
        _, tangents = functional.jvp(network, x, direction)
        changed = (tangents != 0).any(0)
        reached = changed if reached is None else reached | changed
    assert reached is not None
    return ~reached


def tied_outputs(
    module: nn.Module, shape: Sequence[int], mask: Tensor, generator: Generator
) -> Tensor:
    """Groups of the masked entries of an output that are equal to each other for all weights.

    ``mask`` is that of ``unreachable_outputs``. Returns one group number per masked entry (n,), in
    their order. Entries of a group share one constant, so that no bias can fit each of them.
    """
    if not mask.any():
        return torch.zeros(0, dtype=torch.long)
    values = torch.stack(
        [network(x)[0][mask] for network, x in _random_networks(module, shape, generator)]
    )
    groups: Tensor = torch.unique(values, dim=1, return_inverse=True)[1]
    return groups


def constant_floor(train: Tensor, test: Tensor, groups: Tensor) -> float:
    """The test loss of pixels that are constant in every reconstruction, with the best constants.

    ``train`` and ``test`` are these pixels (n, k) of images in [0, 1]; pixels of one group
    (k,) have the same constant. The constants are the means over the training images, the best
    choice there. Returns the mean over test images of the sum of squared errors.
    """
    means = sum((part.double().sum(0) for part in train.split(PART)), torch.zeros(())) / len(train)
    constants = torch.stack([means[groups == group].mean() for group in groups.unique()])
    errors = [(part.double() - constants[groups]).square().sum() for part in test.split(PART)]
    return float(sum(errors, torch.zeros(())) / len(test))


def _random_networks(
    module: nn.Module, shape: Sequence[int], generator: Generator
) -> Iterator[tuple[Callable[[Tensor], Tensor], Tensor]]:
    """Copies with random weights and running statistics, each with random inputs."""
    for _ in range(DRAWS):
        network = copy.deepcopy(module).double().eval().requires_grad_(False)
        for weight in network.parameters():
            scale = weight[0].numel() ** -0.5 if weight.ndim > 1 else 1.0
            weight.normal_(0, scale, generator=generator)
        for statistic in network.buffers():
            if statistic.is_floating_point():
                statistic.uniform_(0.5, 1.5, generator=generator)
        yield network, torch.randn(INPUTS, *shape, generator=generator, dtype=torch.double)
