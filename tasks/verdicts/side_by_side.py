"""The tables of two studies side by side, with the change from the first to the second."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from models.measures.glossary import Unit
from tasks.analysis.intervals import Estimate
from tasks.analysis.summaries import means_over_seeds
from tasks.analysis.tables import Row
from tasks.verdicts.comparisons import Comparison, compare

if TYPE_CHECKING:
    from pandas import DataFrame, Series


class ComparedChoice(NamedTuple):
    """One choice in both tables: its values by column, both means over seeds, and the change.

    A mean is None where that table lacks the choice, the change where no seed has it in both.
    """

    choice: Row
    means: tuple[Estimate | None, Estimate | None]
    change: Comparison | None

    def numbers(self) -> dict[str, float | None]:
        """Both means and the change as columns of a table."""
        first, second = self.means
        return {
            "mean_A": None if first is None else first.mean,
            "mean_B": None if second is None else second.mean,
            "change": None if self.change is None else self.change.change,
        }


def side_by_side(
    first: "DataFrame", second: "DataFrame", by: Sequence[str], column: str, unit: Unit
) -> list[ComparedChoice]:
    """Compare two tables, one row per combination of values in ``by`` that either of them has.

    The change is compared over seeds. It has an interval where both tables have at least two
    seeds in common. ``unit`` is that of the change.
    """
    means = [_means_by_choice(rows, by, column) for rows in (first, second)]
    found = []
    for choice in dict.fromkeys([*means[0], *means[1]]):
        before, after = (_values_by_seed(rows, by, choice, column) for rows in (first, second))
        seeds = before.index.intersection(after.index)
        change = compare("", before[seeds], after[seeds], unit) if len(seeds) else None
        pair = (means[0].get(choice), means[1].get(choice))
        found.append(ComparedChoice(dict(zip(by, choice, strict=True)), pair, change))
    return found


def _means_by_choice(
    rows: "DataFrame", by: Sequence[str], column: str
) -> dict[tuple[object, ...], Estimate | None]:
    means = means_over_seeds(rows, by, [column])
    return {tuple(row[name] for name in by): row[column] for row in means}


def _values_by_seed(
    rows: "DataFrame", by: Sequence[str], choice: tuple[object, ...], column: str
) -> "Series":
    if column not in rows:
        rows = rows.reindex(columns=["seed", *by, column])
    for name, value in zip(by, choice, strict=True):
        rows = rows[rows[name] == value]
    values: Series = rows.set_index("seed")[column].dropna()
    return values
