"""Time this project beside other ways to do the same: ``python -m tests.benchmarks``.

Every round runs all contestants in turn, so that a ratio compares runs of the same minutes.
"""

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from tasks.cache.provenance import provenance
from tasks.datasets.downloaded.downloads import ensure_raw_files
from tests.benchmarks.measures import MEASURES, Sample

BASELINE, OURS = "plain script", "latent-study"
SLOWER_IS_MORE = {"s", "GB", "ms", "%"}  # units in which less is better
LIBRARIES = ("torch", "pythae", "prefect", "mlflow")


def main(
    measures: Annotated[list[str] | None, typer.Argument(help=", ".join(MEASURES))] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often every contestant runs.")] = 3,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all numbers.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Draw the ratios.")] = None,
) -> None:
    """Print a table of medians, spreads and ratios to the plain script."""
    ensure_raw_files("mnist")
    chosen = measures or list(MEASURES)
    unknown = set(chosen) - set(MEASURES)
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: choose from {', '.join(MEASURES)}")
    samples: list[list[Sample]] = [
        [sample for name in chosen for sample in MEASURES[name]()] for _ in range(rounds)
    ]
    rows = summarize(samples)
    console = Console(width=120)
    for line in machine():
        console.print(line, highlight=False)
    console.print(as_table(rows, rounds))
    if json_file:
        content = {"machine": machine(), "rounds": [[s._asdict() for s in r] for r in samples]}
        json_file.write_text(json.dumps(content | {"summary": rows}, indent=1), encoding="utf-8")
    if picture:
        draw(rows).savefig(picture, dpi=130)


def machine() -> list[str]:
    """Hardware and versions."""
    found = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    cores = len(os.sched_getaffinity(0))
    return [
        f"{provenance()['processor']}, {cores} cores, {platform.platform()}",
        f"Python {platform.python_version()}, {', '.join(found)}",
    ]


def summarize(samples: list[list[Sample]]) -> list[dict[str, Any]]:
    """Median, least and most of every number, and its ratio to the plain script round by round."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for one in samples:
        for measure, contestant, unit, value in one:
            found.setdefault((measure, contestant, unit), []).append(value)
    rows = []
    for (measure, contestant, unit), values in found.items():
        base = found.get((measure, BASELINE, unit))
        ratio = None
        if base and contestant != BASELINE:
            pairs = zip(values, base, strict=True)
            ratio = median(b / v if unit in SLOWER_IS_MORE else v / b for v, b in pairs)
        rows.append(
            {
                "measure": measure,
                "contestant": contestant,
                "unit": unit,
                "median": median(values),
                "least": min(values),
                "most": max(values),
                "times_faster": ratio,
            }
        )
    return rows


def as_table(rows: list[dict[str, Any]], rounds: int) -> Table:
    """The rows for reading."""
    table = Table(title=f"{rounds} rounds", title_justify="left")
    for name in ("measure", "contestant"):
        table.add_column(name)
    for name in ("median", "least", "most", "unit", "times the plain script"):
        table.add_column(name, justify="right")
    for row in rows:
        numbers = [f"{row[name]:,.4g}" for name in ("median", "least", "most")]
        ratio = f"{row['times_faster']:.2f}" if row["times_faster"] else ""
        table.add_row(row["measure"], row["contestant"], *numbers, row["unit"], ratio)
    return table


def draw(rows: list[dict[str, Any]]) -> Figure:
    """How many times as fast as the plain script."""
    shown = [row for row in rows if row["times_faster"]]
    figure = Figure(figsize=(7.2, 0.9 + 0.38 * len(shown)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(reversed(shown)):
        colour = "#0072B2" if row["contestant"] == OURS else "#999999"
        axes.barh(place, row["times_faster"], color=colour)
        axes.text(row["times_faster"], place, f" {row['times_faster']:.1f}", va="center", size=9)
    names = [f"{row['contestant']}: {row['measure']}" for row in reversed(shown)]
    axes.set_yticks(range(len(shown)), names, size=9)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("times as fast as the plain script")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    typer.run(main)
