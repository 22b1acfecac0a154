"""Squared error of reconstructions."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor


@dataclass(frozen=True)
class SquaredError:
    """Mean squared error per value."""

    with_labels: ClassVar[bool] = False

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean over n and values, (models,), of outputs and targets (models, n, ...)."""
        return (outputs - targets).square().flatten(1).mean(1)


def sum_of_squares(outputs: Tensor, targets: Tensor) -> Tensor:
    """Sum of squared differences, (models,), of outputs and targets (models, n, values)."""
    return (outputs - targets).square().sum((1, 2))
