"""``study plan``: shows what would run, and why."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.options import Overrides, Sections, StudyArgument
from flows.configuration.load import chosen_sections, load_config

if TYPE_CHECKING:
    from flows.planned import Plan


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
    print_plan(found, as_json)
    if check and found.to_run:
        sys.exit(1)


def print_plan(plan: "Plan", as_json: bool = False) -> None:
    """Print a plan as text, or as JSON for other programs."""
    if as_json:
        totals = {"seconds": plan.seconds, "without_estimate": plan.without_estimate}
        typer.echo(json.dumps(plan.model_dump() | totals, indent=1))
    else:
        typer.echo(str(plan))
