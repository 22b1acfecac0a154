"""Means over seeds and their 95 % intervals."""

from collections.abc import Iterable
from typing import NamedTuple

CONFIDENCE = 0.95


class Estimate(NamedTuple):
    """A mean over n values with its 95 % interval; a single value has no interval."""

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def margin(self) -> float | None:
        """Half the width of the interval."""
        return None if self.high is None else self.high - self.mean


def estimate(values: Iterable[float]) -> Estimate:
    """Mean and Student's t interval of at least one value, in the unit of the values.

    It assumes independent values from one normal distribution, as results of different seeds are.
    """
    import numpy as np
    from scipy import stats

    found = np.array(list(values), dtype=float)
    mean, n = float(found.mean()), len(found)
    if n == 1:
        return Estimate(mean, None, None, n)
    margin = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * stats.sem(found))
    return Estimate(mean, mean - margin, mean + margin, n)
