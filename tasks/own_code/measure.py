"""Calls a user's own measure, with errors in one line."""

import math
import numbers
from typing import TYPE_CHECKING

from models.messages import described
from models.specs import ConfigError
from tasks.own_code.registry import OWN_CODES

if TYPE_CHECKING:
    from torch import Tensor


def call_measure(
    digest: str,
    images: "Tensor",
    reconstructions: "Tensor",
    latents: "Tensor",
    labels: "Tensor | None",
    seed: int,
) -> float | None:
    """The value of a measure; None if it is not finite.

    It is called with images and reconstructions (n, c, h, w) in [0, 1], latents (n, d) and labels
    (n,) int64, None if there are none. Random numbers that it draws follow from ``seed``.

    Raises ConfigError, in one line, for what it raises, and for a result that is no number.
    """
    import torch

    from models.networks.factories import seeded_everywhere

    function, reference = OWN_CODES.find(digest), OWN_CODES.code(digest).reference
    try:
        with seeded_everywhere(seed), torch.no_grad():
            value = function(images, reconstructions, latents, labels)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{reference}: {described(error, function)}") from error
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ConfigError(f"{reference} returned a {type(value).__name__}; return a number")
    found = float(value)
    return found if math.isfinite(found) else None
