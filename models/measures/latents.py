"""Measures of latent vectors."""

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor

ACTIVE_VARIANCE = 0.01
SMALLEST_SHARE, FEWEST_IMAGES = 1e-3, 3  # of images on which a live unit fires
FEWEST_POINTS, POINTS_AT_ONCE = 10, 500  # of TwoNN
KEPT_RATIOS = 0.9  # of TwoNN; the largest are far from its line


def images_fired_on(latents: Tensor) -> Tensor:
    """On how many of the images each unit of latents (n, d) fires: (d,).

    A unit fires where it is above its smallest value, which for ReLU is 0.
    """
    return (latents > latents.amin(0)).sum(0)


def dead_units(latents: Tensor) -> Tensor:
    """Mask (d,) of the units of latents (n, d) that fire on too few images to carry anything.

    A unit is dead if it fires on fewer than 0.1 % of the images, or on fewer than 3. One that
    fires on a single image of thousands is not constant, but it carries no more.
    """
    return images_fired_on(latents) < max(FEWEST_IMAGES, SMALLEST_SHARE * len(latents))


def active_units(means: Tensor) -> Tensor:
    """Mask (d,) of the units of a variational autoencoder that tell images apart.

    ``means`` (n, d) are those of the latent distributions. A unit is active if its variance over
    images is above 0.01 (Burda et al. 2016); the prior of every unit has variance 1.
    """
    return means.var(0) > ACTIVE_VARIANCE


def principal_plane(latents: Tensor) -> Tensor:
    """Coordinates (n, 2) of latents (n, d) in their first two principal components.

    If d = 1, the second column is zero.
    """
    centered = latents.double() - latents.double().mean(0)
    axes = torch.linalg.eigh(centered.T @ centered).eigenvectors.flip(1)[:, :2]
    plane = centered @ axes
    return torch.cat([plane, plane.new_zeros(len(plane), 2 - plane.shape[1])], 1)


class Correlation(NamedTuple):
    """Pearson matrix (d, d) with NaN in the rows of dead units, and means off the diagonal.

    ``mean_abs_shuffled`` is that of live units whose values were shuffled over the images: what a
    mean of absolute values is for units that have nothing in common.
    """

    matrix: Tensor
    mean_abs_live: float
    mean_abs_nan_as_zero: float
    mean_abs_shuffled: float


def latent_correlation(latents: Tensor, dead: Tensor, generator: Generator) -> Correlation:
    """Mean |Pearson correlation| over all pairs of units of latents (n, d); ``dead`` is (d,).

    A constant unit has no correlation. The written study set it to 0, which makes a model with
    dead units look decorrelated (``mean_abs_nan_as_zero``); ``mean_abs_live`` averages over pairs
    of units that are neither dead nor constant. A mean over no pairs is NaN. All of them depend on
    the basis: a rotation of the latent space changes them.
    """
    latents = latents.double()
    matrix = _pearson(latents)
    constant = matrix.diagonal().isnan()
    upper = torch.triu(torch.ones_like(matrix, dtype=torch.bool), diagonal=1)
    live = ~(dead | constant)
    pairs_live = upper & live & live.unsqueeze(1)
    orders = torch.rand(latents.shape, generator=generator).argsort(0)
    shuffled = _pearson(latents.gather(0, orders))
    means = [
        matrix[pairs_live].abs().mean().item(),
        matrix[upper].abs().nan_to_num(0).mean().item(),
        shuffled[pairs_live].abs().mean().item(),
    ]
    matrix[~live] = torch.nan
    matrix[:, ~live] = torch.nan
    return Correlation(matrix.clamp(-1, 1), *means)


def _pearson(latents: Tensor) -> Tensor:
    """Correlations (d, d) of latents (n, d); those of a constant unit are NaN."""
    centered = latents - latents.mean(0)
    constant = latents.amax(0) == latents.amin(0)
    norm = centered.norm(dim=0).masked_fill(constant, torch.nan)
    return (centered.T @ centered) / torch.outer(norm, norm)


def effective_rank(latents: Tensor) -> float:
    """How many dimensions latents (n, d) fill, from 1 to d; 0 if they are all equal.

    The exponential of the entropy of the singular values, which are scaled to a sum of 1 (Roy and
    Vetterli 2007). A rotation of the latent space does not change it.
    """
    centered = latents.double() - latents.double().mean(0)
    values = torch.linalg.svdvals(centered)
    if not values.any():
        return 0.0
    return float(torch.distributions.Categorical(values).entropy().exp())


def intrinsic_dimension(latents: Tensor) -> float | None:
    """The dimension of the surface that latents (n, d) lie on, by TwoNN (Facco et al. 2017).

    The ratio of the distances to the second and to the first neighbour has the distribution
    F(r) = 1 - r^-dimension where the density is even. The dimension is the slope of the line
    through the origin that fits -log(1 - F) by log r best, without the largest tenth of the ratios.
    Equal vectors count once. None for fewer than 10 different vectors, and where no ratio is
    above 1, as on a regular grid.
    """
    points = latents.double().unique(dim=0)
    n = len(points)
    if n < FEWEST_POINTS:
        return None
    exact = "donot_use_mm_for_euclid_dist"
    nearest = [
        torch.cdist(part, points, compute_mode=exact).topk(3, largest=False).values[:, 1:]
        for part in points.split(POINTS_AT_ONCE)
    ]
    first, second = torch.cat(nearest).T
    ratios = (second / first).log().sort().values
    kept = int(KEPT_RATIOS * n)
    x, y = ratios[:kept], -(1 - torch.arange(1, kept + 1) / n).log()
    slope = float((x * y).sum() / x.square().sum())
    return slope if math.isfinite(slope) else None
