"""How much changes differ between seeds in the shipped studies.

A study with one seed has no spread of its own. Where it has the dataset and the claims of a
shipped study, that one's spread tells how many seeds it needs.
"""

from typing import NamedTuple


class KnownSpread(NamedTuple):
    """Standard deviations of the change of one seed: of the trend, and the largest of any step.

    As in ``Comparison.spread``: of logarithms of ratios for a relative change, of shares for
    percentage points, otherwise of the quantity. None where it is not known.
    """

    trend: float | None
    step: float | None


# by the names of dataset and claim
KNOWN: dict[tuple[str, str], KnownSpread] = {}


def known_spread(dataset: str, claim: str) -> KnownSpread | None:
    """The spread of a claim's changes on a dataset, None if no shipped study measured it."""
    return KNOWN.get((dataset, claim))
