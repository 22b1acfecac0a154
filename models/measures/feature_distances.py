"""How close the features of images are to those of real images.

Features (n, d) are what a classifier computes before its last layer. A measure for which there are
too few images is NaN.
"""

import math

import torch
from torch import Tensor

NEIGHBOURS = 3  # as in Kynkaanniemi et al. 2019


class RealFeatures:
    """Features (m, d) of real images, which those of other images are compared with.

    All features are divided by the root mean square of the real ones, so that the features of
    every classifier have one scale.
    """

    def __init__(self, features: Tensor):
        least = torch.finfo(features.dtype).tiny  # where all features are 0
        self._scale = features.square().mean().sqrt().clamp_min(least)
        self._features = features / self._scale
        self._kernel = _mean_of_pairs(self._features)
        self._radii = _radii(self._features)

    def kernel_distance(self, features: Tensor) -> float:
        """Kernel inception distance of features (n, d) from the real ones.

        It is the squared maximum mean discrepancy with the kernel (x.y / d + 1)^3, estimated
        without bias (Binkowski et al. 2018), so it may be below 0 where both have one distribution.
        NaN with fewer than two images.
        """
        x = features / self._scale
        between = float(_kernel(x, self._features).mean(dtype=torch.double))
        return _mean_of_pairs(x) + self._kernel - 2 * between

    def precision(self, features: Tensor) -> float:
        """The share of features (n, d) within the manifold of the real ones.

        The manifold is the union of balls around them whose radius is the distance to the third
        nearest neighbour (Kynkaanniemi et al. 2019). NaN without features, or with three or fewer
        real ones.
        """
        return _share_within(features / self._scale, self._features, self._radii)

    def recall(self, features: Tensor) -> float:
        """The share of real features within the manifold of features (n, d).

        It grows with n, so compare sets of equal size. NaN with three or fewer features.
        """
        x = features / self._scale
        return _share_within(self._features, x, _radii(x))


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1]).add_(1).pow_(3)


def _mean_of_pairs(x: Tensor) -> float:
    """The mean kernel of two different ones of (n, d)."""
    if len(x) < 2:
        return math.nan
    values = _kernel(x, x)
    values.fill_diagonal_(0)
    return float(values.sum(dtype=torch.double)) / (len(x) * (len(x) - 1))


def _radii(x: Tensor) -> Tensor | None:
    """The distance (n,) of each of (n, d) to its third nearest neighbour."""
    if len(x) <= NEIGHBOURS:
        return None
    return torch.cdist(x, x).topk(NEIGHBOURS + 1, largest=False).values[:, -1]


def _share_within(x: Tensor, centers: Tensor, radii: Tensor | None) -> float:
    """The share of (n, d) within a radius (m,) of at least one of the centers (m, d)."""
    if radii is None or not len(x):
        return math.nan
    return float((torch.cdist(x, centers) <= radii).any(1).float().mean())
