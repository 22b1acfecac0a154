"""Principal components: the linear limit of an autoencoder."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor

PART = 2_000  # images that are computed with at once, at most
PART_VALUES = 2**23  # of them
SEED = 0  # of the randomized components
PASSES = 6  # over the training images, of the randomized components
LEAST_MORE = 32  # directions that are followed besides those asked for, half as many or this


class PCA(NamedTuple):
    """Principal components in rows (components, pixels), by falling variance.

    ``mean`` is (pixels,), ``test_loss`` (components + 1,) by the number of components. ``rank`` is
    that of the centered training images, as far as it was looked for: components after it have no
    variance there, so their directions are arbitrary, and ``test_loss`` no longer changes.
    """

    mean: Tensor
    components: Tensor
    test_loss: Tensor
    rank: int


def fit_pca(train: Tensor, test: Tensor) -> PCA:
    """All principal components of images (n, pixels) uint8, scaled to [0, 1], in double precision.

    ``test_loss[k]`` is the MSE per pixel of test images reconstructed from the first k components.
    On the training set no linear autoencoder with latent size k is better (Baldi and Hornik 1989).
    ``test_loss[0]`` is the loss of the mean image.
    """
    mean = _mean(train)
    scatter = sum((x.T @ x for x in _centered(train, mean)), torch.zeros(()))
    variances, vectors = torch.linalg.eigh(scatter / len(train))
    return _measure(variances.flip(0), vectors.flip(1).T, mean, len(train), test)


def fit_first(train: Tensor, test: Tensor, components: int | None) -> PCA:
    """All components of images (n, pixels) uint8, or a number of them by the randomized method."""
    if components is None:
        return fit_pca(train, test)
    return fit_randomized_pca(train, test, components, Generator().manual_seed(SEED))


def fit_randomized_pca(train: Tensor, test: Tensor, components: int, generator: Generator) -> PCA:
    """The first principal components of images (n, pixels) uint8, with no (pixels, pixels) matrix.

    A random subspace is multiplied by the covariance and made orthonormal, several times, and the
    components within it are found exactly (Halko, Martinsson and Tropp 2011), in single precision.
    No subspace of as many dimensions loses less on the training images than exact components, and
    this one loses little more: see ``test_loss`` of ``fit_pca``.
    """
    n, pixels = train.shape
    mean = _mean(train)
    size = min(components + max(LEAST_MORE, components // 2), n, pixels)
    basis = torch.randn(pixels, size, generator=generator)
    for _ in range(PASSES):
        basis = torch.linalg.qr(basis)[0]
        basis = sum((x.T @ (x @ basis) for x in _centered(train, mean, torch.float)), basis * 0)
    basis = torch.linalg.qr(basis)[0]
    projected = (x @ basis for x in _centered(train, mean, torch.float))
    scatter = sum((y.double().T @ y.double() for y in projected), torch.zeros(()))
    variances, vectors = torch.linalg.eigh(scatter / n)
    found = (basis @ vectors.flip(1)[:, :components].float()).T
    return _measure(variances.flip(0)[:components], found, mean, n, test)


def project(train: Tensor, images: Sequence[Tensor], components: int) -> list[Tensor]:
    """Sets of images (m, pixels) uint8 in the first principal components of training images.

    Returns (m, components) each, fewer columns where there are fewer pixels or training images.
    The components are those of the randomized method.
    """
    found = fit_randomized_pca(train, train[:1], components, Generator().manual_seed(SEED))
    axes = found.components.T
    return [torch.cat([x @ axes for x in _centered(one, found.mean, axes.dtype)]) for one in images]


def _measure(variances: Tensor, components: Tensor, mean: Tensor, n: int, test: Tensor) -> PCA:
    """The loss of components (k, pixels) with falling variances (k,), found in n images."""
    smallest = variances.amax() * len(mean) * torch.finfo(components.dtype).eps
    rank = min(int((variances > smallest).sum()), n - 1)
    projected = ((x @ components.T).double() for x in _centered(test, mean, components.dtype))
    energy = sum((y.square().sum(0) for y in projected), variances * 0)
    total = sum((x.square().sum() for x in _centered(test, mean)), torch.zeros(()))
    energy[rank:] = 0
    explained = torch.cat([torch.zeros(1, dtype=torch.double), energy.cumsum(0)])
    return PCA(mean, components, (total - explained).clamp_min(0) / test.numel(), rank)


def _mean(images: Tensor) -> Tensor:
    total = sum((part.sum(0, dtype=torch.double) for part in _parts(images)), torch.zeros(()))
    mean: Tensor = total / 255 / len(images)
    return mean


def _centered(images: Tensor, mean: Tensor, dtype: torch.dtype = torch.double) -> Iterator[Tensor]:
    """Parts of the images minus the mean, so that few images are floats at once."""
    for part in _parts(images):
        yield part.to(dtype).div_(255).sub_(mean)


def _parts(images: Tensor) -> tuple[Tensor, ...]:
    size = max(1, min(PART, PART_VALUES // images.shape[1]))
    parts: tuple[Tensor, ...] = images.split(size)
    return parts
