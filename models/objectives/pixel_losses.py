"""Losses of single pixels besides the squared error."""

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from models.objectives.objective import Extra
from models.specs import Value


class AbsoluteError(Value):
    """Mean absolute error per pixel: the best constant is the median instead of the mean."""

    def __call__(self, autoencoder: Any, images: Tensor, extra: Extra) -> Tensor:
        """The mean over a batch of one autoencoder."""
        return functional.l1_loss(autoencoder(images), images)


class BinaryCrossEntropy(Value):
    """Mean cross entropy per pixel, in nats, of pixels as shares of white.

    Outputs must be in [0, 1]. The least is not 0 but the entropy of the grey pixels.
    """

    unit_outputs: ClassVar[bool] = True

    def __call__(self, autoencoder: Any, images: Tensor, extra: Extra) -> Tensor:
        """The mean over a batch of one autoencoder."""
        outputs: Tensor = autoencoder(images)
        # torch's own stops the whole GPU process where a network diverged to NaN
        smallest = torch.finfo(outputs.dtype).tiny
        white, black = (one.clamp(min=smallest).log() for one in (outputs, 1 - outputs))
        return -(images * white + (1 - images) * black).mean()
