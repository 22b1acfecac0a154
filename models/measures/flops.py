"""The arithmetic of a training."""

import copy

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def training_flops(module: nn.Module, shape: tuple[int, ...]) -> int:
    """Floating-point operations of one forward and backward pass for one input of this shape.

    Counts matrix products and convolutions, a multiplication and an addition as two, as torch
    does; the module is not changed. Activations, batch norm and the optimizer are left out.
    """
    counter = FlopCounterMode(display=False)
    with counter:
        copy.deepcopy(module).eval()(torch.zeros(1, *shape)).sum().backward()
    return int(counter.get_total_flops())
