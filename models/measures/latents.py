"""Measures of latent vectors."""

from typing import NamedTuple

import torch
from torch import Tensor


def dead_units(latents: Tensor) -> Tensor:
    """Mask (d,) of the coordinates of latents (n, d) that are the same for all images."""
    return latents.amax(0) == latents.amin(0)


def principal_plane(latents: Tensor) -> Tensor:
    """Coordinates (n, 2) of latents (n, d) in their first two principal components.

    If d = 1, the second column is zero.
    """
    centered = latents.double() - latents.double().mean(0)
    axes = torch.linalg.eigh(centered.T @ centered).eigenvectors.flip(1)[:, :2]
    plane = centered @ axes
    return torch.cat([plane, plane.new_zeros(len(plane), 2 - plane.shape[1])], 1)


class Correlation(NamedTuple):
    """Pearson matrix (d, d) with NaN in dead rows, and its means off the diagonal."""

    matrix: Tensor
    mean_abs_live: float
    mean_abs_nan_as_zero: float
    dead_units: int


def latent_correlation(latents: Tensor) -> Correlation:
    """Mean |Pearson correlation| over all pairs of latent coordinates, latents (n, d).

    A dead coordinate has no correlation. The written study set it to 0, which makes a model with
    dead units look decorrelated (``mean_abs_nan_as_zero``); ``mean_abs_live`` averages over pairs
    of live coordinates only. A mean over no pairs is NaN.
    """
    latents = latents.double()
    dead = dead_units(latents)
    centered = latents - latents.mean(0)
    norm = centered.norm(dim=0)
    matrix = (centered.T @ centered) / torch.outer(norm, norm)
    matrix[dead] = torch.nan
    matrix[:, dead] = torch.nan
    upper = torch.triu(torch.ones_like(matrix, dtype=torch.bool), diagonal=1)
    pairs = matrix[upper].abs()
    live = pairs[~pairs.isnan()]
    return Correlation(
        matrix.clamp(-1, 1), live.mean().item(), pairs.nan_to_num(0).mean().item(), int(dead.sum())
    )
