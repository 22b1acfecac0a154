"""Whether a number that the written study printed is one that a new seed of a recipe would give."""

import math
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from tasks.analysis.intervals import CONFIDENCE
from tasks.analysis.published_results import ROUNDING

Outcome = Literal[
    "not reproduced",
    "differs, one seed",
    "interval too wide",
    "near, one seed",
    "reproduced",
]
LEAST_FAVOURABLE_FIRST: tuple[Outcome, ...] = get_args(Outcome)
NEAR = 3  # roundings within which one seed is near a printed number
WIDEST = 10  # roundings: half the width above which an interval contains too much to say anything


def prediction_interval(values: Iterable[float]) -> tuple[float, float] | None:
    """The 95 % interval of the value of one more seed, in the unit of the values.

    It is mean +- t s sqrt(1 + 1/n), with Student's t of n - 1 degrees of freedom and the standard
    deviation s of the n values (Hahn 1969). It assumes independent values from one normal
    distribution. A single value has none.
    """
    import numpy as np
    from scipy import stats

    found = np.array(list(values), dtype=float)
    n = len(found)
    if n < 2:
        return None
    t = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)
    margin = float(t * found.std(ddof=1) * math.sqrt(1 + 1 / n))
    mean = float(found.mean())
    return mean - margin, mean + margin


def reproduces(values: Sequence[float], reported: float, rounding: float = ROUNDING) -> bool | None:
    """Whether a printed number lies in the prediction interval, widened by half its last digit.

    ``values`` has one value per seed, in the unit of the printed number, not its logarithm;
    ``rounding`` is half a unit of the last printed digit. None if it cannot be said: of one seed,
    and of an interval that contains the number but extends more than ten times ``rounding`` to each
    side, since such an interval contains numbers that differ much.
    """
    interval = prediction_interval(values)
    if interval is None:
        return None
    low, high = interval
    if not low - rounding <= reported <= high + rounding:
        return False
    return True if high - low <= 2 * WIDEST * rounding else None


def reproduction(
    values: Iterable[float], reported: float, rounding: float = ROUNDING
) -> Outcome | None:
    """The outcome of ``reproduces`` in words; None without values.

    One seed is near a printed number if it differs by less than 1.5 units of the last digit.
    """
    found = list(values)
    if not found:
        return None
    if len(found) == 1:
        near = abs(found[0] - reported) < NEAR * rounding
        return "near, one seed" if near else "differs, one seed"
    inside = reproduces(found, reported, rounding)
    if inside is None:
        return "interval too wide"
    return "reproduced" if inside else "not reproduced"


def of_both(first: Outcome | None, second: Outcome | None) -> Outcome | None:
    """The less favourable of two outcomes; None if either is missing."""
    if first is None or second is None:
        return None
    return min(first, second, key=LEAST_FAVOURABLE_FIRST.index)
