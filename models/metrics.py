"""Measures of reconstructions and latent vectors."""

from typing import NamedTuple

import torch
from torch import Tensor


class PCA(NamedTuple):
    """Principal components (pixels, pixels), by falling variance, and test MSE by their number."""

    mean: Tensor
    components: Tensor
    test_loss: Tensor


def fit_pca(train: Tensor, test: Tensor) -> PCA:
    """Principal components of images (n, 784) in [0, 1], in double precision.

    ``test_loss[k]`` is the MSE per pixel of test images rebuilt from the first k components: the
    best that any linear autoencoder with latent size k can do on the training set (Baldi and
    Hornik 1989), measured on the test set. ``test_loss[0]`` is the loss of the mean image.
    """
    train, test = train.double(), test.double()
    mean = train.mean(0)
    centered = train - mean
    covariance = centered.T @ centered / len(train)
    components = torch.linalg.eigh(covariance).eigenvectors.flip(1).T
    energy = ((test - mean) @ components.T).square().mean(0) / test.shape[1]
    total = (test - mean).square().mean()
    explained = torch.cat([torch.zeros(1, dtype=torch.double), energy.cumsum(0)])
    return PCA(mean, components, (total - explained).clamp_min(0))


def dead_units(latents: Tensor) -> Tensor:
    """Mask (d,) of latent coordinates that are constant over all images (n, d)."""
    return latents.amax(0) == latents.amin(0)


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
