"""How sharp images are, and how close to real ones."""

import math

import torch
from torch import Tensor


def gradient_energy(images: Tensor) -> Tensor:
    """Mean squared difference of neighbouring pixels, (n,), of images (n, height, width) in [0, 1].

    The energy of the image gradient is a common measure of focus (Subbarao, Choi and Nikzad 1993):
    blur lowers it.
    """
    across = images.diff(dim=2).square().mean((1, 2))
    down = images.diff(dim=1).square().mean((1, 2))
    return across + down


def nearest_distance(images: Tensor, reference: Tensor) -> Tensor:
    """Root mean squared difference per pixel to the nearest of the reference images, (n,).

    Images (n, height, width) in [0, 1], reference (m, height, width) uint8.
    """
    queries = images.flatten(1)
    nearest = torch.full((len(images),), torch.inf)
    for part in reference.flatten(1).split(4_000):
        distances = torch.cdist(queries, part.float() / 255)
        nearest = torch.minimum(nearest, distances.amin(1))
    return nearest / math.sqrt(queries.shape[1])
