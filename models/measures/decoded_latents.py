"""What a decoder makes of latents that were changed: ablations, traversals, spherical lines."""

import torch
from torch import Tensor, nn

from models.inference import apply

ROWS, VALUES = 4_000, 2**25  # latent vectors that are decoded at once, values of their images
PARALLEL = 1e-6  # sine of an angle below which vectors span no plane
ENDS = 0.01  # the quantiles of a traversal are from 0.01 to 0.99


def ablation_losses(decoder: nn.Module, latents: Tensor, images: Tensor) -> Tensor:
    """How much the loss rises when a unit has its mean for every image: (d,), MSE per pixel.

    ``latents`` (n, d) are those of the images (n, c, h, w) uint8. 0 of a unit that is constant, or
    that the decoder ignores. It can be negative.
    """
    real = images.float() / 255
    n, d = latents.shape
    found = torch.zeros(d, dtype=torch.double)
    varying = (latents.amax(0) > latents.amin(0)).nonzero().flatten()
    if not len(varying):
        return found
    loss = (apply(decoder, latents) - real).square().mean(dtype=torch.double)
    means = latents.mean(0)
    for units in varying.split(max(1, min(ROWS, VALUES // real[0].numel()) // n)):
        changed = latents.repeat(len(units), 1, 1)
        changed[torch.arange(len(units)), :, units] = means[units, None]
        decoded = apply(decoder, changed.flatten(0, 1)).reshape(len(units), *real.shape)
        found[units] = (decoded - real).square().mean((1, 2, 3, 4), dtype=torch.double) - loss
    return found


def traversal(decoder: nn.Module, latents: Tensor, unit: int, steps: int) -> Tensor:
    """Decoded images (steps, c, h, w) while one unit goes through its quantiles from 1 % to 99 %.

    The other units have the values of the vector of latents (n, d) that is nearest to their mean.
    """
    start = latents[(latents - latents.mean(0)).square().sum(1).argmin()]
    points = start.repeat(steps, 1)
    points[:, unit] = torch.quantile(latents[:, unit], torch.linspace(ENDS, 1 - ENDS, steps))
    return apply(decoder, points)


def spherical_line(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Points (steps, d) on the arc from ``start`` to ``end`` (d,), both included: slerp.

    The angle grows evenly (Shoemake 1985). Vectors that span no plane have the straight line.
    """
    weights = torch.linspace(0, 1, steps).double().unsqueeze(1)
    a, b = start.double(), end.double()
    cosine = (a @ b) / (a.norm() * b.norm()).clamp_min(1e-300)
    angle = cosine.clamp(-1, 1).acos()
    if not a.any() or not b.any() or angle.sin() < PARALLEL:
        return torch.lerp(a, b, weights).to(start.dtype)
    points: Tensor = (((1 - weights) * angle).sin() * a + (weights * angle).sin() * b) / angle.sin()
    return points.to(start.dtype)
