"""``study plan``: shows what would run, and why."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.options import Overrides, Sections, StudyArgument, chosen_sections
from flows.configuration.load import load_config
from tasks.system.user_warnings import one_line

if TYPE_CHECKING:
    from flows.plan import Plan, PlannedTask

SHOWN_REASONS = 3


def plan(
    study: StudyArgument = "digits",
    overrides: Overrides = None,
    section: Sections = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 if any task would run.")
    ] = False,
) -> None:
    """Show what `study run` would compute, why, and how long it would take. Computes nothing."""
    from flows.plan import make_plan

    config = load_config(study, overrides)
    found = make_plan(config, chosen_sections(section))
    if as_json:
        typer.echo(plan_json(found))
    else:
        print_plan(found, config.runner.tasks_at_once)
    if check and any(task.action == "run" for task in found.tasks):
        sys.exit(1)


def print_plan(plan: "Plan", width: int) -> None:
    """Print the tasks, how long those to run may take, ``width`` at once, notes and warnings."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    planned = plan.tasks
    for task in planned:
        console.print(one_line(_line(task)))
    waiting = sum(task.action == "run" for task in planned)
    text = f"{len(planned) - waiting} cached, {waiting} to run"
    if waiting:
        total, unknown = totals(planned)
        text += f": about {total:.0f} s of computing, {total / width:.0f} s with {width} at once"
        text += f", and {unknown} tasks that were never timed" if unknown else ""
    console.print(text)
    for note in plan.notes:
        console.print(one_line(f"note: {note}"))
    for warning in plan.warnings:
        console.print(one_line(f"warning: {warning}"))


def _line(task: "PlannedTask") -> str:
    reasons = task.reasons[:SHOWN_REASONS]
    more = len(task.reasons) - len(reasons)
    if more:
        reasons.append(f"and {more} more")
    why = f": {'; '.join(reasons)}" if reasons else ""
    seconds = ""
    if task.action == "run":
        seconds = "? s" if task.seconds is None else f"{task.seconds:.1f} s"
    return f"{task.action:6} {seconds:>9}  {task.name}{why}"


def totals(planned: "list[PlannedTask]") -> tuple[float, int]:
    """The seconds that the tasks to run may take, and how many of them have no estimate."""
    seconds = [task.seconds for task in planned if task.action == "run"]
    return sum(value or 0 for value in seconds), seconds.count(None)


def plan_json(plan: "Plan") -> str:
    """The plan as JSON, for other programs."""
    total, unknown = totals(plan.tasks)
    content = plan.model_dump() | {"seconds": total, "without_estimate": unknown}
    return json.dumps(content, indent=1)
