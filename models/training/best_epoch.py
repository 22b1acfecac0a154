"""The best epoch of a model by validation loss, and when to stop."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from models.specs import EarlyStopping

State = dict[str, Tensor]


@dataclass(frozen=True)
class BestEpoch:
    """An epoch, its validation loss (MSE per pixel), and a copy of the model's state after it."""

    epoch: int
    loss: float
    state: State


def better_of(
    best: BestEpoch | None, epoch: int, loss: float, rule: EarlyStopping, state: Callable[[], State]
) -> BestEpoch:
    """The best epoch after one more epoch; ``state`` copies the state that the model has now."""
    if best is None or loss < best.loss - rule.least_change:
        return BestEpoch(epoch, loss, state())
    return best


def is_over(best: BestEpoch, epoch: int, rule: EarlyStopping) -> bool:
    """Whether the best epoch is so long ago that a training stops."""
    return epoch - best.epoch >= rule.patience
