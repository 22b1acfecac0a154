"""Optimizers and learning-rate schedules by name."""

from collections.abc import Callable

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"adam": Adam, "adamw": AdamW, "sgd": SGD}


def make_optimizer(name: str, parameters: nn.Parameter, learning_rate: float) -> Optimizer:
    """torch's optimizer of that name with torch's defaults, fused into one kernel."""
    return OPTIMIZERS[name]([parameters], lr=learning_rate, fused=True)


def make_schedule(
    name: str, optimizer: Optimizer, learning_rate: float, updates: int
) -> LRScheduler | None:
    """A schedule over this many updates; None if the learning rate is constant."""
    if name == "one_cycle":
        return OneCycleLR(optimizer, max_lr=learning_rate, total_steps=updates)
    if name == "cosine":
        return CosineAnnealingLR(optimizer, T_max=updates)
    return None
