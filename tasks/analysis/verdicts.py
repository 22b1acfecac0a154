"""A claim as a chain of comparisons over seeds, and the verdict that follows."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from pydantic import computed_field

from models.specs import Value
from tasks.analysis.intervals import CONFIDENCE, estimate

if TYPE_CHECKING:
    from pandas import DataFrame, Series


Outcome = Literal["confirmed", "refuted", "undecided", "not measured"]


class Comparison(Value):
    """How a quantity changes from one choice to another: the mean over n seeds, its 95 % interval.

    A relative change is one in per cent, by the mean logarithm of the ratio. ``effect_size`` is
    Cohen's d of the paired changes: their mean in their standard deviations; ``p_value`` that of
    Student's paired t test; equal changes have neither. A single seed has no interval; an exact
    count needs none.
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

    def side(self, sign: int) -> Literal["for", "against", "open"]:
        """On which side of no change the interval lies, seen from a claim of that sign."""
        if self.low is None or self.high is None or (self.low == self.high and not self.exact):
            return "open"
        low, high = sorted((sign * self.low, sign * self.high))
        if low > 0:
            return "for"
        return "against" if high < 0 else "open"

    def least(self, sign: int) -> float:
        """The least that the interval leaves for a claim of that sign; nothing known is nothing."""
        ends = [self.change] if self.low is None or self.high is None else [self.low, self.high]
        return min(sign * end for end in ends) if self.n else -math.inf


class Verdict(Value):
    """A claim, what was measured for it, and what follows."""

    name: str
    claim: str
    quantity: str
    sign: int
    comparisons: tuple[Comparison, ...]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def outcome(self) -> Outcome:
        """What the intervals say; one seed decides nothing."""
        if not any(comparison.n for comparison in self.comparisons):
            return "not measured"
        limit = (1 - CONFIDENCE) / len(self.comparisons)
        sides = {comparison.side(self.sign) for comparison in self.comparisons}
        for one in self.comparisons:
            certain = one.exact or (one.p_value is not None and one.p_value < limit)
            if certain and one.side(self.sign) == "against":
                return "refuted"
        return "confirmed" if sides == {"for"} else "undecided"

    @computed_field  # type: ignore[prop-decorator]
    @property
    def weakest(self) -> Comparison | None:
        """The comparison that speaks least for the claim: by the near end of its interval."""
        return min(self.comparisons, key=lambda one: one.least(self.sign), default=None)


def compare(label: str, before: "Series", after: "Series", relative: bool) -> Comparison:
    """Compare two columns of values by seed; seeds that lack either are left out."""
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


def compare_along(
    rows: "DataFrame", along: str, quantity: str, name: Callable[[object], str], relative: bool
) -> tuple[Comparison, ...]:
    """Compare each value of a column with the next one, seed by seed.

    ``rows`` hold one model each, with its seed. A step that no seed has on both sides stays open.
    """
    if quantity not in rows or rows[quantity].isna().all():
        return ()
    table = rows.pivot_table(index="seed", columns=along, values=quantity, dropna=False)
    return tuple(
        compare(f"{name(before)} to {name(after)}", table[before], table[after], relative)
        for before, after in pairwise(sorted(table.columns.tolist()))
    )
