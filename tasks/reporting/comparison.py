"""Two invocations of studies side by side, with their differences."""

from pathlib import Path
from typing import Any, NamedTuple

from tasks.analysis.claims import judge_claims
from tasks.analysis.side_by_side import side_by_side
from tasks.analysis.tables import CHOICES, SHAPE, Groups, make_tables
from tasks.cache.canonical import differences
from tasks.reporting.figures import points
from tasks.reporting.page import PAGE, render


class Side(NamedTuple):
    """One of the two: how the page calls it, what was asked for, what came out."""

    name: str
    config: dict[str, Any]
    groups: Groups


def write_comparison(folder: Path, first: Side, second: Side) -> Path:
    """Write the page that compares two invocations, and its table. Returns the page's path."""
    from pandas import DataFrame

    from tasks.reporting.plots import lines_figure, save

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


def _deciding(side: Side) -> dict[str, Any]:
    """The settings that may change a result."""
    return {key: value for key, value in side.config.items() if key != "runner"}
