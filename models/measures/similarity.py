"""How similar two representations of the same images are."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor


def linear_cka(x: Tensor, y: Tensor) -> float:
    """Linear CKA of features x (n, d) and y (n, e) of the same n images, from 0 to 1.

    With centered features it is |y'x|^2 / (|x'x| |y'y|), with Frobenius norms (Kornblith et al.
    2019). Rotations, and one factor for all features, do not change it. NaN if x or y is constant.
    """
    return float(cka_matrix([x, y])[0, 1])


def cka_matrix(features: Sequence[Tensor]) -> Tensor:
    """Linear CKA (m, m) of each pair of m features (n, d), whose d may differ."""
    centered = [one.double() - one.double().mean(0) for one in features]
    norms = [_own_norm(one) for one in centered]
    found = torch.full((len(features), len(features)), torch.nan, dtype=torch.double)
    for i, x in enumerate(centered):
        for j in range(i, len(centered)):
            product = norms[i] * norms[j]
            if product > 0:
                shared = 1.0 if i == j else float((centered[j].T @ x).square().sum()) / product
                found[i, j] = found[j, i] = min(shared, 1.0)  # rounding
    return found


def shuffled_cka(features: Sequence[Tensor], generator: Generator) -> float:
    """Mean linear CKA of all pairs of features (n, d) whose images were shuffled: the floor.

    It is above 0, more so the fewer images there are. NaN if no pair has a value.
    """
    shuffled = [one[torch.randperm(len(one), generator=generator)] for one in features]
    pairs = cka_matrix(shuffled)[torch.triu(torch.ones(len(shuffled), len(shuffled)), 1).bool()]
    return float(pairs.nanmean())


def _own_norm(centered: Tensor) -> float:
    """The Frobenius norm of x'x, which is that of xx'; 0 for constant features (n, d)."""
    n, d = centered.shape
    if not bool((centered.abs().amax(0) > 1e-12 * centered.abs().amax().clamp_min(1e-30)).any()):
        return 0.0
    return float((centered.T @ centered if d <= n else centered @ centered.T).norm())
