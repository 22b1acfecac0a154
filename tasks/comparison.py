"""Two invocations of studies side by side, with their differences."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.canonical import differences
from tasks.report import PAGE, judge_claims, render
from tasks.report_figures import points
from tasks.tables import CHOICES, SHAPE, Groups, Row, make_tables, over_seeds
from tasks.verdicts import compare

if TYPE_CHECKING:
    from pandas import DataFrame


class Side(NamedTuple):
    """One of the two: how the page calls it, what was asked for, what came out."""

    name: str
    config: dict[str, Any]
    groups: Groups


def write_comparison(folder: Path, first: Side, second: Side) -> Path:
    """Write the page that compares two invocations, and its table; where it lies."""
    from pandas import DataFrame

    from tasks.plots import lines_figure, save

    folder.mkdir(parents=True, exist_ok=True)
    sides = [first, second]
    tables = [make_tables(side.groups, side.config) for side in sides]
    models, transfers = [t.models for t in tables], [t.transfer for t in tables]
    rows = {
        "test MSE": side_by_side(models, SHAPE, "final_test_loss", relative=True),
        "train MSE": side_by_side(models, SHAPE, "final_train_loss", relative=True),
        "test accuracy": side_by_side(transfers, CHOICES, "test_accuracy", relative=False),
    }
    lines = {
        side.name: points(table.latent_sweep, "latent_dim", "final_test_loss")
        for side, table in zip(sides, tables, strict=True)
    }
    picture = folder / "rate.svg"
    picture.unlink(missing_ok=True)
    if all(lines.values()):
        save(lines_figure(lines, "latent size", "test MSE per pixel", log_y=True), picture)
    flat = [
        {"quantity": quantity} | row["choice"] | row["numbers"]
        for quantity, found in rows.items()
        for row in found
    ]
    DataFrame(flat).to_csv(folder / "comparison.csv", index=False)
    page = folder / PAGE
    text = render(
        "compare.html.j2",
        names=[side.name for side in sides],
        settings=list(differences(_deciding(first), _deciding(second))),
        verdicts=list(zip(*map(judge_claims, tables), strict=True)),
        rows=rows,
        picture=picture,
    )
    page.write_text(text, encoding="utf-8")
    return page


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


def _deciding(side: Side) -> dict[str, Any]:
    """The settings that may change a result."""
    return {key: value for key, value in side.config.items() if key != "runner"}
