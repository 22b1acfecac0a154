"""Squared error of reconstructions."""

from typing import Any

from torch import Tensor
from torch.nn import functional

from models.objectives.objective import Extra
from models.specs import Value


class SquaredError(Value):
    """Mean squared error per value."""

    def __call__(self, autoencoder: Any, images: Tensor, extra: Extra) -> Tensor:
        """The mean over a batch of one autoencoder."""
        return mean_square(autoencoder(images), images)


def mean_square(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean of squared differences, a scalar, of outputs and targets of one shape."""
    return functional.mse_loss(outputs, targets)


def sum_of_squares(outputs: Tensor, targets: Tensor) -> Tensor:
    """Sum of squared differences, (models,), of outputs and targets (models, n, values)."""
    return (outputs - targets).square().sum((1, 2))
