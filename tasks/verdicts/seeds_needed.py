"""How many seeds would decide a claim, from the spread of the changes seen so far.

All numbers are means and standard deviations as in ``Comparison``, before they are shown in a unit.
"""

import math
from collections.abc import Callable

from tasks.verdicts.comparisons import Comparison, computed

POWER = 0.8  # the wanted probability of a decision
SPREAD_CONFIDENCE = 0.8  # of the upper bound of the standard deviation
MOST_SEEDS = 1000  # a larger number is not computed
SIGNIFICANCE = 0.05


def spread_bound(spread: float, degrees: float) -> float:
    """The upper 80 % confidence bound of a standard deviation (chi square).

    A pilot's own standard deviation is too small in more than half of all cases, and then so is
    the number of seeds that follows from it (Browne 1995).
    """
    from scipy.special import chdtri

    return spread * math.sqrt(degrees / float(chdtri(degrees, SPREAD_CONFIDENCE)))


def power_of_difference(mean: float, spread: float, degrees: float, n: int, level: float) -> float:
    """The probability that a two-sided t test of n changes finds the side of their mean.

    ``level`` is the significance level; the distribution is the noncentral t.
    """
    from scipy.special import nctdtr, stdtrit

    limit = float(stdtrit(degrees, 1 - level / 2))
    return 1 - float(nctdtr(degrees, abs(mean) * math.sqrt(n) / spread, limit))


def power_of_equivalence(
    ends: tuple[float, float], mean: float, spread: float, degrees: float, n: int
) -> float:
    """The probability that two one-sided tests (Schuirmann 1987) put the mean between the ends.

    It is at least this: the probability that neither test fails, by Bonferroni's inequality.
    """
    low, high = ends
    if not low < mean < high:
        return 0.0
    tests = [
        power_of_difference(distance, spread, degrees, n, 2 * SIGNIFICANCE)
        for distance in (mean - low, high - mean)
    ]
    return max(0.0, sum(tests) - 1)


def fewest_seeds(power: Callable[[int], float], wanted: float) -> int:
    """The smallest number of seeds from 2 with this power, which rises with them.

    More than ``MOST_SEEDS`` is ``MOST_SEEDS + 1``.
    """
    low, high = 1, MOST_SEEDS + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= wanted else (middle, high)
    return high


def _seeds_of_equal_changes(level: float) -> int:
    """The seeds whose equal changes the sign test takes for no chance."""
    return 1 + math.ceil(-math.log2(level))


def _spread_of(one: Comparison, known_spread: float | None) -> float | None:
    if one.spread is None or one.degrees is None:
        return known_spread
    return spread_bound(one.spread, one.degrees)


def _seeds_to_differ(one: Comparison, spread: float, level: float, wanted: float) -> int:
    if not spread:
        return _seeds_of_equal_changes(level)
    scale = one.degrees / (one.n - 1) if one.degrees is not None else 1.0
    return fewest_seeds(
        lambda n: power_of_difference(one.mean, spread, scale * (n - 1), n, level), wanted
    )


def _seeds_to_be_equivalent(one: Comparison, spread: float, margin: float, wanted: float) -> int:
    if not spread:
        return _seeds_of_equal_changes(2 * SIGNIFICANCE)
    scale = one.degrees / (one.n - 1) if one.degrees is not None else 1.0
    ends = computed(-margin, one.unit), computed(margin, one.unit)
    return fewest_seeds(
        lambda n: power_of_equivalence(ends, one.mean, spread, scale * (n - 1), n), wanted
    )


def seeds_to_decide(
    comparisons: tuple[Comparison, ...],
    sign: int,
    margins: list[float],
    known_spread: float | None = None,
) -> int | None:
    """About how many seeds would decide a claim with this sign about all comparisons.

    ``margins`` holds the margin of equivalence of each, in its unit. ``known_spread`` replaces the
    standard deviation that a single seed does not have. The changes are taken for the true ones:
    if all have the claim's sign, every comparison has to be confirmed; otherwise one of the others
    has to be refuted; or all have to be equivalent. The smallest number counts. With the sign 0 one
    has to change by more than its margin, or all have to be equivalent. An exact count needs no
    seeds. None if another comparison has no seed or no spread.
    """
    pairs = [pair for pair in zip(comparisons, margins, strict=True) if not pair[0].exact]
    spreads = [_spread_of(one, known_spread) for one, _ in pairs]
    known = [
        (one, spread, margin)
        for (one, margin), spread in zip(pairs, spreads, strict=True)
        if one.n and spread is not None
    ]
    if not known or len(known) < len(pairs):
        return None
    each = POWER ** (1 / len(known))  # together with the wanted power
    options = _to_refute(sign, known)
    if sign and not options:
        options = [
            max(_seeds_to_differ(one, spread, SIGNIFICANCE, each) for one, spread, _ in known)
        ]
    if all(abs(one.change) < margin for one, margin in zip(comparisons, margins, strict=True)):
        options.append(
            max(_seeds_to_be_equivalent(one, spread, margin, each) for one, spread, margin in known)
        )
    fewest = min(options, default=MOST_SEEDS + 1)
    return min(max(fewest, max(one.n for one in comparisons) + 1), MOST_SEEDS + 1)


def _to_refute(sign: int, known: list[tuple[Comparison, float, float]]) -> list[int]:
    """The fewest seeds with which a comparison against the claim is sure; empty if none is.

    A claim that nothing changes has those against it that change by more than the margin.
    """
    level = SIGNIFICANCE / len(known)
    if sign:
        against = [(one, spread) for one, spread, _ in known if sign * one.mean <= 0]
    else:
        against = [
            (_beyond(one, margin), spread)
            for one, spread, margin in known
            if abs(one.change) > margin
        ]
    found = [
        _seeds_to_differ(one, spread, level, POWER) if one.mean else MOST_SEEDS + 1
        for one, spread in against
    ]
    return [min(found)] if found else []


def _beyond(one: Comparison, margin: float) -> Comparison:
    """The part of a change that is beyond the margin."""
    nearest = computed(math.copysign(margin, one.change), one.unit)
    return one.model_copy(update={"mean": one.mean - nearest})
