"""Measures of reconstructions and latent vectors."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

PART = 2_000  # images in double precision at once


class PCA(NamedTuple):
    """Principal components (pixels, pixels), by falling variance, and test MSE by their number."""

    mean: Tensor
    components: Tensor
    test_loss: Tensor


def fit_pca(train: Tensor, test: Tensor) -> PCA:
    """Principal components of images (n, pixels) uint8 taken as [0, 1], in double precision.

    ``test_loss[k]`` is the MSE per pixel of test images rebuilt from the first k components: the
    best that any linear autoencoder with latent size k can do on the training set (Baldi and
    Hornik 1989), measured on the test set. ``test_loss[0]`` is the loss of the mean image.
    """
    mean = train.sum(0, dtype=torch.double) / 255 / len(train)
    scatter = sum((x.T @ x for x in _centered(train, mean)), torch.zeros(()))
    components = torch.linalg.eigh(scatter / len(train)).eigenvectors.flip(1).T
    energy = sum(((x @ components.T).square().sum(0) for x in _centered(test, mean)), mean * 0)
    total = sum((x.square().sum() for x in _centered(test, mean)), torch.zeros(()))
    explained = torch.cat([torch.zeros(1, dtype=torch.double), energy.cumsum(0)])
    return PCA(mean, components, (total - explained).clamp_min(0) / test.numel())


def _centered(images: Tensor, mean: Tensor) -> Iterator[Tensor]:
    """Parts of the images around the mean, small enough to stay out of the way."""
    for part in images.split(PART):
        yield part.double().div_(255).sub_(mean)


def epochs_to_converge(losses: list[float], share: float = 0.1) -> float:
    """Epochs until the loss is within a share of its last value and stays there.

    ``losses`` holds one value per epoch; between epochs the line through them counts.
    """
    goal = (1 + share) * losses[-1]
    last = max((epoch for epoch, loss in enumerate(losses) if loss > goal), default=None)
    if last is None:
        return 1.0
    before, after = losses[last], losses[last + 1]
    return last + 1 + (before - goal) / (before - after)


def dead_units(latents: Tensor) -> Tensor:
    """Mask (d,) of latent coordinates that are constant over all images (n, d)."""
    return latents.amax(0) == latents.amin(0)


def principal_plane(latents: Tensor) -> Tensor:
    """Coordinates (n, 2) of latents (n, d) in their first two principal components.

    A single coordinate is its own plane, beside zeros.
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
    of live coordinates. Both are NaN when no pair is left.
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


def confusion_matrix(predicted: Tensor, labels: Tensor, n_classes: int) -> Tensor:
    """Counts (classes, classes): rows are the true classes, columns the predicted ones."""
    index = labels.long() * n_classes + predicted.long()
    return torch.bincount(index, minlength=n_classes**2).reshape(n_classes, n_classes)
