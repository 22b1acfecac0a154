"""``study status``: past invocations from the parent runs in MLflow."""

from datetime import datetime

from rich.console import Console
from rich.table import Table

from tasks.tracking import connect, study_runs

LATEST = 20
OUTCOMES = ("done", "cached", "failed")


def print_status(study: str | None = None) -> None:
    """A table of the latest invocations, newest first."""
    runs = study_runs(connect(), study)
    console = Console()
    if not runs:
        console.print("no study has run here yet; start one with: study run")
        return
    table = Table("study", "started", "minutes", "state", *OUTCOMES)
    for run in runs[:LATEST]:
        end = run.info.end_time
        minutes = f"{(end - run.info.start_time) / 60_000:.1f}" if end else ""
        numbers = [run.data.metrics.get(f"tasks_{name}") for name in OUTCOMES]
        counts = ["" if number is None else f"{number:.0f}" for number in numbers]
        started = datetime.fromtimestamp(run.info.start_time / 1000)
        name = run.data.tags["study.name"]
        table.add_row(name, f"{started:%Y-%m-%d %H:%M}", minutes, run.info.status, *counts)
    console.print(table)
    latest = runs[0]
    if latest.data.tags.get("study.failures"):
        name = latest.data.tags["study.name"]
        console.print(f"{name}: {latest.data.tags['study.failures']}", markup=False)
        console.print(f"run what is missing with: study run {name}", markup=False)
