"""Squared error of reconstructions."""

from torch import Tensor


def sum_of_squares(outputs: Tensor, targets: Tensor) -> Tensor:
    """Sum of squared differences, (models,), of outputs and targets (models, n, values)."""
    return (outputs - targets).square().sum((1, 2))
