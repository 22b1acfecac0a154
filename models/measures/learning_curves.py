"""Measures of losses by epoch.

``losses`` holds one value per epoch, the first with the initial weights, before epoch 1.
"""

import math
from collections.abc import Sequence
from itertools import pairwise


def epochs_to_loss(losses: Sequence[float], goal: float) -> float:
    """Epochs until the loss is first at most ``goal``; NaN if it never is.

    Between epochs the logarithm of the loss is interpolated linearly. The goal must be the same for
    all models that are compared: how soon a model comes close to its own last loss says little,
    because a bad plateau is reached early.
    """
    if losses[0] <= goal:
        return 0.0
    for epoch, (before, after) in enumerate(pairwise(losses)):
        if after <= goal and after <= 0:  # it has no logarithm
            return epoch + 1.0
        if after <= goal:
            return epoch + math.log(before / goal) / math.log(before / after)
    return math.nan


def area_under_log_loss(losses: Sequence[float]) -> float:
    """Mean natural logarithm of the loss over the whole training, by the trapezoidal rule.

    Lower is better: the loss falls sooner, or further. It needs no goal. NaN if a loss is 0.
    """
    if min(losses) <= 0:
        return math.nan
    logarithms = [math.log(loss) for loss in losses]
    inner = sum(logarithms[1:-1])
    return (inner + (logarithms[0] + logarithms[-1]) / 2) / (len(losses) - 1)
