"""``study report``: shows the report of a study, or compares two."""

import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.options import RAN_STUDY, never_ran
from flows.configuration.load import (
    name_of_study,
    recorded_config,
    shipped_studies,
)
from models.specs import ConfigError
from tasks.system.folders import report_path, study_home

if TYPE_CHECKING:
    from tasks.execution.invocations import Invocation
    from tasks.reporting.comparison import ComparedStudy

SHOWN_RUNS = 4


def report(
    study: Annotated[str, typer.Argument(help=f"{RAN_STUDY}.")] = "digits",
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="A B",
            help="Compare two studies, or two runs by their names in `study status`.",
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the report in a browser.")] = False,
) -> None:
    """Print the path of a study's report, or write a report that compares two studies."""
    page = compare_reports(*compare) if compare is not None else _report_of(study)
    if not page.exists():
        command = "rerun" if study == page.parent.name and study not in shipped_studies() else "run"
        typer.echo(f"study: no report at {page}; make it with: study {command} {study}", err=True)
        sys.exit(1)
    typer.echo(page)
    if show:
        webbrowser.open(page.as_uri())


def _report_of(study: str) -> Path:
    """The report of a study that ran here, that is shipped, or of a file. Raises ConfigError."""
    from tasks.execution.invocations import records

    name = name_of_study(study)
    if name == study and name not in shipped_studies() and next(records(name), None) is None:
        raise never_ran(name)
    return report_path(name)


def compare_reports(first: str, second: str) -> Path:
    """Write the page that compares two invocations or studies. Returns its path.

    Raises ConfigError for an unknown name, or if the store has no trained model of one of them.
    """
    from tasks.reporting.comparison import write_comparison

    first, second = name_of_study(first), name_of_study(second)
    sides = [_compared_study(name) for name in (first, second)]
    folder = study_home() / "reports" / "compare" / f"{first}-{second}"
    return write_comparison(folder, *sides)


def _compared_study(name: str) -> "ComparedStudy":
    from flows.past_runs import entries_by_group
    from tasks.reporting.comparison import ComparedStudy

    found = _find_invocation(name)
    config = recorded_config(found.config, found.short_id, found.study)
    groups = entries_by_group(found, config)
    if not groups.get("train"):
        raise ConfigError(f"{name}: the store has none of its trained models; run it again")
    settings = config.model_dump(mode="json")  # with those that the record lacks
    return ComparedStudy(f"{found.study} of {found.short_id}", settings, groups)


def _find_invocation(name: str) -> "Invocation":
    """The newest ended invocation of the study with this name, or the one whose id starts with it.

    Raises ConfigError for the name of none or of several.
    """
    from tasks.execution.invocations import UnreadableRecord, invocations, records_named

    for found in invocations(name):
        if found.ended and any(one.task == "train" and one.outcome for one in found.tasks.values()):
            return found
    named = records_named(name) if name else []
    if not named:
        raise ConfigError(f"{name!r}: no study or run has this name; list them with: study status")
    if len(named) > 1:
        ids = [found.id for found in named[:SHOWN_RUNS]] + (["..."] if named[SHOWN_RUNS:] else [])
        raise ConfigError(f"{name!r}: several runs have this name: {', '.join(ids)}")
    if isinstance(named[0], UnreadableRecord):
        raise ConfigError(f"{name!r}: the record {named[0]}")
    return named[0]
