"""``study status``: lists past invocations, what failed and why, and the command to continue."""

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.options import RAN_STUDY, TABLE_WIDTH, never_ran
from flows.configuration.load import name_of_study
from tasks.execution.invocations import DIED, Invocation, invocations
from tasks.system.user_warnings import one_line

if TYPE_CHECKING:
    from rich.console import Console

SHOWN_INVOCATIONS = 20
SHOWN_FAILURES = 10
OUTCOME_COLUMNS = ("done", "cached", "failed", "skipped")


def status(
    study: Annotated[str | None, typer.Argument(help=f"{RAN_STUDY}; default: all studies.")] = None,
) -> None:
    """Show past invocations: when they ran, how they ended, what failed."""
    print_status(None if study is None else name_of_study(study))


def print_status(study: str | None = None) -> None:
    """Print a table of the latest invocations, newest first, and what the newest has not finished.

    Raises ConfigError for the name of a study that has not run.
    """
    from rich.console import Console
    from rich.table import Table

    found = list(islice(invocations(study), SHOWN_INVOCATIONS))
    # as wide as the table: other commands take a run's name, so it is never cut
    console = Console(highlight=False, soft_wrap=True, width=TABLE_WIDTH)
    if study and not found:
        raise never_ran(study)
    if not found:
        console.print("no study has run here yet; start one with: study run")
        return
    table = Table(
        "study", "run (UTC)", "minutes", "state", *OUTCOME_COLUMNS, box=None, pad_edge=False
    )
    for invocation in found:
        seconds = invocation.duration
        minutes = "" if seconds is None else f"{seconds / 60:.1f}"
        counts = [str(invocation.count(outcome)) for outcome in OUTCOME_COLUMNS]
        row = (invocation.study, invocation.short_id, minutes, invocation.state)
        table.add_row(*row, *counts)
    console.print(table)
    print_missing(console, found[0])


def print_missing(console: "Console", latest: Invocation) -> None:
    """Print what the latest invocation did not finish, why, and the command that runs it."""
    from rich.text import Text

    if latest.state in {"RUNNING", "COMPLETED"}:
        return
    console.print(Text(f"\n{latest.study}: {one_line(latest.message or DIED)}"))
    for name, record in list(latest.unfinished.items())[:SHOWN_FAILURES]:
        why = record.reason if record.outcome else "was not finished"
        console.print(Text(f"  {one_line(name)}: {one_line(why)}"))
    if len(latest.unfinished) > SHOWN_FAILURES:
        console.print(f"  and {len(latest.unfinished) - SHOWN_FAILURES} more")
    console.print(Text(f"run what is missing with: {latest.command}"))
