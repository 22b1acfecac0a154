"""Two tables side by side, with the change from one to the other."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.analysis.summaries import over_seeds
from tasks.analysis.tables import Row
from tasks.analysis.verdicts import compare

if TYPE_CHECKING:
    from pandas import DataFrame


def side_by_side(
    frames: Sequence["DataFrame"], by: Sequence[str], column: str, relative: bool
) -> list[Row]:
    """One row per choice that either of two tables has: both means over seeds, and the change.

    The change has an interval where both were done with two seeds or more, compared by seed.
    """
    sides = [_by_choice(rows, by, column) for rows in frames]
    found = []
    for choice in dict.fromkeys([*sides[0], *sides[1]]):
        means = [side.get(choice) for side in sides]
        both = [_of_choice(rows, by, choice, column) for rows in frames]
        seeds = both[0].index.intersection(both[1].index)
        change = None
        if len(seeds):
            change = compare("", both[0][seeds], both[1][seeds], relative)
        numbers = {f"mean_{name}": m and m.mean for name, m in zip("AB", means, strict=True)}
        found.append(
            {
                "choice": dict(zip(by, choice, strict=True)),
                "means": means,
                "change": change,
                "numbers": numbers | {"change": change and change.change},
            }
        )
    return found


def _by_choice(rows: "DataFrame", by: Sequence[str], column: str) -> dict[tuple[Any, ...], Any]:
    return {tuple(row[name] for name in by): row[column] for row in over_seeds(rows, by, [column])}


def _of_choice(rows: "DataFrame", by: Sequence[str], choice: tuple[Any, ...], column: str) -> Any:
    """The values of one choice by seed."""
    if column not in rows:
        rows = rows.reindex(columns=["seed", *by, column])
    for name, value in zip(by, choice, strict=True):
        rows = rows[rows[name] == value]
    return rows.set_index("seed")[column].dropna()
