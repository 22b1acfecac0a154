"""How many trainings failed, with the interval of the probability of a failure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tasks.analysis.intervals import CONFIDENCE

if TYPE_CHECKING:
    from pandas import DataFrame, Series


class Failures(NamedTuple):
    """How many of n trainings of a level failed; ``low`` and ``high`` are probabilities."""

    level: int
    failed: int
    n: int
    low: float
    high: float


def has_failed(losses: "Series", mean_image_loss: float) -> "Series[bool]":
    """Whether each test loss is missing, infinite, or not below that of the mean training image."""
    numbers = losses.astype(float)
    return ~(numbers < mean_image_loss)  # NaN is not below


def count_failures(
    rows: "DataFrame", along: str, levels: Sequence[int], n_seeds: int, mean_image_loss: float
) -> list[Failures]:
    """The failures of each level, a value of the column ``along``, with 95 % intervals.

    ``rows`` has one row per model with its ``final_test_loss``. Of ``n_seeds`` trainings those
    without a row failed too: they ended with an error, as a training that diverges does. The
    interval is Wilson's (1927).
    """
    found = []
    for level in levels:
        chosen = rows[rows[along] == level]
        good = int((~has_failed(chosen.final_test_loss, mean_image_loss)).sum())
        low, high = wilson_interval(n_seeds - good, n_seeds)
        found.append(Failures(level, n_seeds - good, n_seeds, low, high))
    return found


def wilson_interval(failed: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a probability, from the failures among n trials, n at least 1."""
    from scipy.stats import binomtest

    found = binomtest(failed, n).proportion_ci(CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)
