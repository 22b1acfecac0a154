"""A claim as a list of comparisons over seeds, and the verdict that follows from them."""

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from pydantic import computed_field

from models.specs import Value
from tasks.analysis.intervals import CONFIDENCE, estimate

if TYPE_CHECKING:
    from pandas import DataFrame, Series


Outcome = Literal["confirmed", "refuted", "undecided", "not measured"]


class Comparison(Value):
    """How much a quantity changes from one choice to another: mean over n seeds, 95 % interval.

    ``change``, ``low`` and ``high`` have the quantity's unit. With the unit "%" they are the change
    in per cent that follows from the mean logarithm of the ratio, and from its interval's ends.
    ``effect_size`` is Cohen's d of the paired changes: their mean divided by their standard
    deviation. ``p_value`` is that of Student's paired t test, two-sided. Both are None where all
    changes are equal, and ``low`` and ``high`` are the mean then. A single seed has no interval.
    An ``exact`` count needs none.
    """

    label: str
    change: float
    low: float | None = None
    high: float | None = None
    unit: Literal["", "%"] = ""
    n: int
    effect_size: float | None = None
    p_value: float | None = None
    exact: bool = False

    def supports(self, sign: int) -> bool:
        """Whether the whole interval is on the claim's side of zero; ``sign`` is 1 or -1.

        Without an interval it is not. Changes that are all equal say nothing about their variance,
        so an interval of no width counts only for an exact number.
        """
        if self.low is None or self.high is None or (self.low == self.high and not self.exact):
            return False
        return min(sign * self.low, sign * self.high) > 0

    def contradicts(self, sign: int) -> bool:
        """Whether the whole interval is on the other side of zero."""
        return self.supports(-sign)

    def lower_bound(self, sign: int) -> float:
        """The smallest change in the claim's direction that the interval contains.

        Without an interval it is the change itself, and minus infinity if no seed was compared.
        """
        ends = [self.change] if self.low is None or self.high is None else [self.low, self.high]
        return min(sign * end for end in ends) if self.n else -math.inf


class Verdict(Value):
    """A claim, the comparisons that test it, and the outcome.

    ``sign`` is the claim's direction: 1 if the quantity is to grow in every comparison, -1 if it is
    to fall.
    """

    name: str
    claim: str
    quantity: str
    sign: int
    comparisons: tuple[Comparison, ...]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def outcome(self) -> Outcome:
        """The claim says that every comparison changes in its direction. It is

        - confirmed if every 95 % interval is on the claim's side of zero. This is an
          intersection-union test (Berger 1982), so it needs no correction for the number of
          comparisons;
        - refuted if an interval excludes the claim even after Bonferroni correction: it is on the
          other side of zero, and p is below 0.05 divided by the number of comparisons. An exact
          count needs no p;
        - undecided otherwise. A single seed never decides a claim;
        - not measured if no comparison has a seed.
        """
        if not any(comparison.n for comparison in self.comparisons):
            return "not measured"
        limit = (1 - CONFIDENCE) / len(self.comparisons)
        for one in self.comparisons:
            certain = one.exact or (one.p_value is not None and one.p_value < limit)
            if certain and one.contradicts(self.sign):
                return "refuted"
        supported = all(one.supports(self.sign) for one in self.comparisons)
        return "confirmed" if supported else "undecided"

    @computed_field  # type: ignore[prop-decorator]
    @property
    def weakest(self) -> Comparison | None:
        """The comparison that supports the claim least: the one with the smallest lower bound."""
        return min(self.comparisons, key=lambda one: one.lower_bound(self.sign), default=None)


def compare(label: str, before: "Series", after: "Series", relative: bool) -> Comparison:
    """Compare two columns of values seed by seed; a seed that lacks either value is left out."""
    import numpy as np
    from scipy import stats

    changes = (after / before).map(math.log) if relative else after - before
    changes = changes.dropna()
    if not len(changes):
        return Comparison(label=label, change=0, n=0)
    found = estimate(changes)
    alike = np.allclose(changes, found.mean, rtol=1e-9, atol=1e-12)  # equal, up to rounding
    spread = 0.0 if alike else float(np.std(changes, ddof=1))
    p_value = float(stats.ttest_1samp(changes, 0).pvalue) if spread else None
    ends = (found.low, found.high) if spread or found.n == 1 else (found.mean, found.mean)
    change, low, high = (
        100 * math.expm1(value) if relative and value is not None else value
        for value in (found.mean, *ends)
    )
    assert change is not None
    return Comparison(
        label=label,
        change=change,
        low=low,
        high=high,
        unit="%" if relative else "",
        n=found.n,
        effect_size=found.mean / spread if spread else None,
        p_value=p_value,
    )


def compare_neighbours(
    rows: "DataFrame", along: str, quantity: str, label: str, relative: bool
) -> tuple[Comparison, ...]:
    """Compare each value of the column ``along`` with the next larger one, seed by seed.

    ``rows`` has one row per model, with its ``seed``. ``label`` is the format of a value's name,
    like ``"d = {}"``. Two neighbours that share no seed give a comparison with n = 0.
    """
    if quantity not in rows or rows[quantity].isna().all():
        return ()
    table = rows.pivot_table(index="seed", columns=along, values=quantity, dropna=False)
    return tuple(
        compare(
            f"{label.format(before)} to {label.format(after)}",
            table[before],
            table[after],
            relative,
        )
        for before, after in pairwise(sorted(table.columns.tolist()))
    )
