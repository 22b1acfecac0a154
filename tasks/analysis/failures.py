"""How many trainings failed, with the interval of the probability of a failure."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tasks.analysis.intervals import CONFIDENCE

if TYPE_CHECKING:
    from pandas import DataFrame, Series


class Failures(NamedTuple):
    """How many of n trainings of a level failed; ``low`` and ``high`` are probabilities."""

    level: int | str
    failed: int
    n: int
    low: float
    high: float


def has_failed(losses: "Series", mean_image_loss: float) -> "Series[bool]":
    """Whether each test loss is missing, infinite, or not below that of the mean training image."""
    numbers = losses.astype(float)
    return ~(numbers < mean_image_loss)  # NaN is not below


def count_failures(
    rows: "DataFrame",
    along: str,
    levels: Sequence[int | str],
    seeds: Sequence[int],
    mean_image_loss: float,
) -> list[Failures]:
    """The failures of each level, a value of the column ``along``, with 95 % intervals.

    ``rows`` has one row per model with its ``final_test_loss``. Of the trainings with these
    ``seeds`` those without a row failed too: they ended with an error, as a training that diverges
    does. The interval is Wilson's (1927).
    """
    found = []
    for level in levels:
        chosen = rows[(rows[along] == level) & rows.seed.isin(seeds)]
        good = int((~has_failed(chosen.final_test_loss, mean_image_loss)).sum())
        failed, n = len(seeds) - good, len(seeds)
        found.append(Failures(level, failed, n, *wilson_interval(failed, n)))
    return found


def wilson_interval(failed: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a probability, from the failures among n trials, n at least 1."""
    from scipy.stats import binomtest

    found = binomtest(failed, n).proportion_ci(CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)
