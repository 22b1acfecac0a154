"""How sharp images are, and how close to real ones, without a classifier."""

import math

import torch
from torch import Tensor

PART_VALUES = 2**24  # of reference images that are compared at once
LOWEST_ENERGY = 2 / 255**2  # where neighbours differ by one grey level, across and down


def gradient_energy(images: Tensor) -> Tensor:
    """Mean squared difference of neighbouring pixels, (n,), of images (n, c, h, w) in [0, 1].

    The energy of the image gradient is a common measure of focus (Subbarao, Choi and Nikzad 1993):
    blur lowers it.
    """
    across = images.diff(dim=3).square().mean((1, 2, 3))
    down = images.diff(dim=2).square().mean((1, 2, 3))
    return across + down


def sharpness_distance(images: Tensor, real: Tensor) -> float:
    """How far the sharpness of images (n, c, h, w) is from that of real ones, in nats.

    It is the absolute logarithm of the ratio of their mean gradient energies. It counts in both
    directions: blurred images are far from real ones, and so are noise and checkerboards. Images
    are in [0, 1], real ones too or uint8. An energy below that of single grey levels counts as
    that.
    """
    energies = (_mean_energy(x).clamp_min(LOWEST_ENERGY) for x in (images, real))
    shown, wanted = map(float, energies)
    return abs(math.log(shown / wanted))


def _mean_energy(images: Tensor) -> Tensor:
    """The mean gradient energy of images in [0, 1] or uint8, few of which are floats at once."""
    parts = images.split(max(1, PART_VALUES // images[0].numel()))
    scale = 255 if images.dtype == torch.uint8 else 1
    return torch.cat([gradient_energy(part / scale) for part in parts]).mean()


def nearest_distance(images: Tensor, reference: Tensor) -> Tensor:
    """Root mean squared difference per pixel to the nearest of the reference images, (n,).

    Images (n, c, h, w) in [0, 1], reference (m, c, h, w) uint8. It is the mean over pixels and
    channels.
    """
    queries = images.flatten(1)
    nearest = torch.full((len(images),), torch.inf)
    for part in reference.flatten(1).split(max(1, min(4_000, PART_VALUES // queries.shape[1]))):
        distances = torch.cdist(queries, part.float() / 255)
        nearest = torch.minimum(nearest, distances.amin(1))
    return nearest / math.sqrt(queries.shape[1])
