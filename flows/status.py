"""``study status``: past invocations from the parent runs in MLflow."""

from datetime import datetime

from rich.console import Console
from rich.table import Table

from tasks.tracking import connect, study_runs

LATEST = 20


def print_status(study: str | None = None) -> None:
    """A table of the latest invocations, newest first."""
    runs = study_runs(connect(), study)
    console = Console()
    if not runs:
        console.print("no study has run here yet; start one with: study run")
        return
    table = Table("study", "started", "minutes", "state", "done", "cached", "failed")
    for run in runs[:LATEST]:
        end = run.info.end_time
        minutes = f"{(end - run.info.start_time) / 60_000:.1f}" if end else ""
        counts = [
            str(int(run.data.metrics[f"tasks_{name}"])) if f"tasks_{name}" in run.data.metrics else ""
            for name in ("done", "cached", "failed")
        ]
        started = datetime.fromtimestamp(run.info.start_time / 1000)
        table.add_row(
            run.data.tags["study.name"], f"{started:%Y-%m-%d %H:%M}", minutes, run.info.status, *counts
        )
    console.print(table)
    latest = runs[0]
    if latest.data.tags.get("study.failures"):
        name = latest.data.tags["study.name"]
        console.print(f"{name}: {latest.data.tags['study.failures']}", markup=False)
        console.print(f"run what is missing with: study run {name}", markup=False)
