"""Principal components: the linear limit of an autoencoder."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

PART = 2_000  # images that are in double precision at once


class PCA(NamedTuple):
    """Principal components in the rows of (pixels, pixels), by falling variance.

    ``mean`` is (pixels,), ``test_loss`` (pixels + 1,) by the number of components. ``rank`` is that
    of the centered training images: components after it have no variance there, so their
    directions are arbitrary, and ``test_loss`` no longer changes.
    """

    mean: Tensor
    components: Tensor
    test_loss: Tensor
    rank: int


def fit_pca(train: Tensor, test: Tensor) -> PCA:
    """Principal components of images (n, pixels) uint8, scaled to [0, 1], in double precision.

    ``test_loss[k]`` is the MSE per pixel of test images reconstructed from the first k components.
    On the training set no linear autoencoder with latent size k is better (Baldi and Hornik 1989).
    ``test_loss[0]`` is the loss of the mean image.
    """
    mean = train.sum(0, dtype=torch.double) / 255 / len(train)
    scatter = sum((x.T @ x for x in _centered(train, mean)), torch.zeros(()))
    variances, vectors = torch.linalg.eigh(scatter / len(train))
    components = vectors.flip(1).T
    smallest = variances.amax() * len(variances) * torch.finfo(torch.double).eps
    rank = min(int((variances > smallest).sum()), len(train) - 1)
    energy = sum(((x @ components.T).square().sum(0) for x in _centered(test, mean)), mean * 0)
    total = sum((x.square().sum() for x in _centered(test, mean)), torch.zeros(()))
    energy[rank:] = 0
    explained = torch.cat([torch.zeros(1, dtype=torch.double), energy.cumsum(0)])
    return PCA(mean, components, (total - explained).clamp_min(0) / test.numel(), rank)


def _centered(images: Tensor, mean: Tensor) -> Iterator[Tensor]:
    """Parts of the images minus the mean, so that few images are in double precision at once."""
    for part in images.split(PART):
        yield part.double().div_(255).sub_(mean)
