"""The training step that the training loop needs, as a protocol."""

from typing import Protocol

import torch
from torch import Tensor


class TrainingStep(Protocol):
    """Loss and gradients for batches of one size, for a stack of equal networks.

    The loop fills ``inputs`` (models, n, features), and ``labels`` (models, n) if there are any.
    A call adds the mean loss of the batch to ``total`` (models,), sets the gradients of the stacked
    parameters and updates the running statistics of batch norm. For an objective other than the
    squared error of reconstructions ``total`` has that error nevertheless, and the loss is one of
    the ``parts``, totals (models,) by name.
    """

    inputs: Tensor
    labels: Tensor
    total: Tensor
    parts: dict[str, Tensor]

    def __call__(self) -> None:
        """Compute loss and gradients for the batch in ``inputs`` and ``labels``."""


def fill(target: Tensor, batch: Tensor) -> None:
    """Copy a batch (models or 1, n, ...) to target (models, n, features).

    uint8 images become values in [0, 1].
    """
    values = batch.flatten(2).expand_as(target)
    if batch.dtype == torch.uint8:
        torch.div(values, 255, out=target)
    else:
        target.copy_(values)
