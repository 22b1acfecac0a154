"""How much a quantity changes between levels, such as latent sizes: means over seeds, intervals."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from pydantic import computed_field

from models.measures.glossary import Unit
from models.specs import Value
from tasks.analysis.intervals import CONFIDENCE

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray
    from pandas import DataFrame, Series

    Array = NDArray[float64]

Interval = tuple[float, float]
# Whether levels are compared seed by seed. Otherwise as independent samples: although a seed means
# the same order of images at every level, losses of a seed do not correlate (docs/verdicts.md).
PAIRED = False
LARGEST_EXPONENT = 700.0  # of math.expm1


def shown(value: float, unit: Unit) -> float:
    """A computed value in its unit: a logarithm of a ratio in per cent, a share in points.

    Without a unit it is the value itself.
    """
    if unit == "%":
        return 100 * math.expm1(min(value, LARGEST_EXPONENT))
    return 100 * value if unit == "points" else value


def computed(value: float, unit: Unit) -> float:
    """The inverse of ``shown``; a change of -100 % or less gives minus infinity."""
    if unit == "%":
        return math.log1p(value / 100) if value > -100 else -math.inf
    return value / 100 if unit == "points" else value


class Comparison(Value):
    """A change of a quantity between levels, over n seeds.

    ``mean`` is the mean change, ``spread`` the standard deviation of the change of one seed and
    ``standard_error`` that of the mean, with ``degrees`` of freedom: of logarithms of ratios for
    the unit "%", of shares for "points". A single seed has none of the three. ``rising`` and
    ``falling`` count the seeds whose change is above and below zero. An ``exact`` count is the same
    for every seed and needs no interval.

    ``label`` names it in tables. ``levels`` are the first and the last level in words; or the only
    one, which is compared with the number ``bound``. ``quantity`` is what is compared where a claim
    has several quantities, ``condition`` what the levels have in common.
    """

    label: str
    levels: tuple[str, ...] = ()
    bound: float | None = None
    quantity: str = ""
    condition: str = ""
    unit: Unit = ""
    n: int
    mean: float = 0.0
    spread: float | None = None
    standard_error: float | None = None
    degrees: float | None = None
    rising: int = 0
    falling: int = 0
    exact: bool = False

    @computed_field  # type: ignore[prop-decorator]
    @property
    def change(self) -> float:
        """The mean change in its unit; "%" is the change that follows from the mean log ratio."""
        return shown(self.mean, self.unit)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def low(self) -> float | None:
        """The lower end of the 95 % interval; None if there is no interval."""
        found = self.interval(CONFIDENCE)
        return None if found is None else found[0]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def high(self) -> float | None:
        """The upper end of the 95 % interval; None if there is no interval."""
        found = self.interval(CONFIDENCE)
        return None if found is None else found[1]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def effect_size(self) -> float | None:
        """The mean change divided by the standard deviation of that of one seed.

        None if all are equal. For changes seed by seed it is Cohen's d of the changes.
        """
        return self.mean / self.spread if self.spread else None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def p_value(self) -> float | None:
        """The two-sided p of no change: of Student's t test.

        Of the sign test if all changes are equal; None for a single seed or an exact count.
        """
        from scipy.special import stdtr

        if self.exact or self.standard_error is None:
            return None
        if self.spread == 0:
            return min(1.0, _equal_by_chance(self.n)) if self.mean else 1.0
        return float(2 * stdtr(self.degrees, -abs(self.mean) / self.standard_error))

    def interval(self, confidence: float) -> Interval | None:
        """The interval of the change in its unit, with this confidence; None if there is none.

        It is Student's. Changes that are all equal say nothing about their spread. The interval of
        the sign test (order statistics of the changes, Conover 1999) is the change itself then, if
        there are enough seeds for this confidence: 6 for 95 %.
        """
        from scipy.special import stdtrit

        if self.exact:
            return self.change, self.change
        if self.standard_error is None:
            return None
        if self.spread == 0:
            enough = _equal_by_chance(self.n) <= 1 - confidence
            return (self.change, self.change) if enough else None
        margin = float(stdtrit(self.degrees, (1 + confidence) / 2)) * self.standard_error
        return shown(self.mean - margin, self.unit), shown(self.mean + margin, self.unit)

    def side(self, confidence: float) -> int:
        """1 or -1 if the whole interval is above or below zero, otherwise 0."""
        low, high = self.interval(confidence) or (0.0, 0.0)
        return (low > 0) - (high < 0)

    def within(self, margin: float, confidence: float) -> bool:
        """Whether the whole interval is between plus and minus the margin, as it is printed."""
        found = self.interval(confidence)
        return found is not None and all(abs(as_printed(end)) <= margin for end in found)


def as_printed(value: float) -> float:
    """A value as pages print it, with three significant digits."""
    return float(f"{value:.3g}")


def _equal_by_chance(n: int) -> float:
    """The two-sided p of the sign test if n changes have one sign."""
    return float(2.0 ** (1 - n))


def contrast(
    label: str,
    table: "DataFrame | Array",
    coefficients: Sequence[float],
    unit: Unit,
    paired: bool | None = None,
) -> Comparison:
    """The change that these coefficients make of the levels' values.

    ``table`` has a row per seed and a column per level, with one coefficient each; the coefficients
    add up to zero. Values that are no finite numbers are missing.

    If ``paired``, by default ``PAIRED``, the change is computed seed by seed, over seeds that have
    every level, and the interval is Student's. This allows for any correlation between levels.
    Otherwise levels are independent samples, with the degrees of freedom of Welch (1947) and
    Satterthwaite (1946); n is the smallest number of seeds of a level. Changes that are equal in
    all seeds are always paired.

    A relative change ("%") from or to zero is not defined: then it is the difference.
    """
    import numpy as np

    values = np.asarray(table, dtype=float)
    values = np.where(np.isfinite(values), values, np.nan)
    unit = unit_for(values, unit)
    if unit == "%":
        values = np.log(values)
    weights = np.asarray(coefficients, dtype=float)
    changes = values[~np.isnan(values).any(axis=1)] @ weights
    found = _Estimate.paired(changes)
    close = 1e-12 + 1e-9 * abs(found.mean)  # equal up to rounding
    are_equal = found.spread is not None and found.spread <= close
    if not (are_equal or (PAIRED if paired is None else paired)):
        found = _Estimate.of_levels(values, weights)
    return Comparison(
        label=label,
        unit=unit,
        n=found.n,
        mean=0.0 if abs(found.mean) <= 1e-12 else found.mean,
        spread=0.0 if found.spread is not None and found.spread <= close else found.spread,
        standard_error=found.standard_error,
        degrees=found.degrees,
        rising=int((changes > close).sum()),
        falling=int((changes < -close).sum()),
    )


def unit_for(values: "DataFrame | Array", unit: Unit) -> Unit:
    """The unit in which all changes of these values are defined: not "%" if one is zero."""
    import numpy as np

    return "" if unit == "%" and bool((np.asarray(values, dtype=float) <= 0).any()) else unit


class _Estimate(NamedTuple):
    """A mean change with its spread over seeds, as in ``Comparison``."""

    n: int
    mean: float = 0.0
    spread: float | None = None
    standard_error: float | None = None
    degrees: float | None = None

    @classmethod
    def paired(cls, changes: "Array") -> "_Estimate":
        n = len(changes)
        if n < 2:
            return cls(n, float(changes.sum()))
        spread = float(changes.std(ddof=1))
        return cls(n, float(changes.mean()), spread, spread / math.sqrt(n), n - 1)

    @classmethod
    def of_levels(cls, values: "Array", weights: "Array") -> "_Estimate":
        import numpy as np

        columns = [column[~np.isnan(column)] for column in values.T]
        n = min(len(column) for column in columns)
        if not n:
            return cls(0)
        mean = float(sum(w * c.mean() for w, c in zip(weights, columns, strict=True)))
        if n < 2:
            return cls(n, mean)
        of_one = [w**2 * c.var(ddof=1) for w, c in zip(weights, columns, strict=True)]
        of_mean = [v / len(c) for v, c in zip(of_one, columns, strict=True)]
        each = [v**2 / (len(c) - 1) for v, c in zip(of_mean, columns, strict=True)]
        degrees = sum(of_mean) ** 2 / sum(each) if sum(each) else n - 1
        spread, standard_error = (math.sqrt(sum(variances)) for variances in (of_one, of_mean))
        return cls(n, mean, spread, standard_error, float(degrees))


def compare(
    label: str, before: "Series", after: "Series", unit: Unit, paired: bool | None = None
) -> Comparison:
    """Compare two columns of values, whose index is the seed."""
    from pandas import DataFrame

    return contrast(label, DataFrame({"before": before, "after": after}), (-1, 1), unit, paired)


def values_by_level(
    rows: "DataFrame", along: str, quantity: str, levels: Sequence[object] | None = None
) -> "DataFrame | None":
    """A row per seed and a column per level, a value of the column ``along``.

    ``rows`` has one row per model, with its ``seed``. Without ``levels`` all values are taken, in
    rising order. None if the quantity was not measured.
    """
    if quantity not in rows or rows[quantity].isna().all():
        return None
    numbers = rows.assign(**{quantity: rows[quantity].astype(float)})
    table = numbers.pivot_table(index="seed", columns=along, values=quantity, dropna=False)
    return table.reindex(columns=list(levels or sorted(table.columns.tolist())))


def compare_neighbours(
    table: "DataFrame", unit: Unit, paired: bool | None = None
) -> tuple[Comparison, ...]:
    """Compare each level, a column of the table, with the next.

    Columns have the names of levels. If one of two neighbours has no seed, their comparison has
    n = 0. ``paired`` is as in ``contrast``.
    """
    values = table.to_numpy(dtype=float)
    found = []
    for place, (before, after) in enumerate(pairwise(map(str, table.columns))):
        pair = values[:, [place, place + 1]]
        one = contrast(f"{before} to {after}", pair, (-1, 1), unit, paired)
        found.append(one.model_copy(update={"levels": (before, after)}))
    return tuple(found)


def compare_trend(table: "DataFrame", unit: Unit) -> Comparison:
    """The change per step over all levels: the least-squares slope over their ranks.

    With two levels it is the change between them. With three it is half of the change from the
    first to the last.
    """
    levels = list(map(str, table.columns))
    middle = (len(levels) - 1) / 2
    squares = sum((rank - middle) ** 2 for rank in range(len(levels)))
    coefficients = [(rank - middle) / squares for rank in range(len(levels))]
    ends = levels[0], levels[-1]
    found = contrast(f"per step, {' to '.join(ends)}", table, coefficients, unit)
    return found.model_copy(update={"levels": ends})


def page_p_value(table: "DataFrame", sign: int) -> float | None:
    """The p of Page's (1963) test of a trend with this sign, one-sided.

    It looks only at the order of the levels within each seed. None if fewer than two seeds have
    every level, or if there are fewer than three levels.
    """
    import numpy as np
    from scipy.stats import page_trend_test

    values = table.to_numpy(dtype=float)
    complete = sign * values[~np.isnan(values).any(axis=1)]
    if complete.shape[0] < 2 or complete.shape[1] < 3:
        return None
    return float(page_trend_test(complete).pvalue)
