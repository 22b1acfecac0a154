"""Principal components: the linear limit of an autoencoder."""

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
