"""``study report``: where the page of a study is, or a page that compares two."""

import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.commands.options import StudyArgument
from flows.configuration.load import load_config
from flows.configuration.study_config import StudyConfig
from models.specs import ConfigError, TrainingRecipe
from tasks.system.folders import report_page, study_home

if TYPE_CHECKING:
    from tasks.cache.entry import Entry
    from tasks.execution.invocations import Invocation
    from tasks.reporting.comparison import Side


def report(
    study: StudyArgument = "digits",
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="A B",
            help="Two studies side by side, or two of their runs as `study status` names them.",
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Print where the report page of a study is, or write one that compares two."""
    if compare is not None:
        page = compare_reports(*compare)
    else:
        page = report_page(load_config(study).name)
    if not page.exists():
        typer.echo(f"study: no report at {page}; make it with: study run {study}", err=True)
        sys.exit(1)
    typer.echo(page)
    if show:
        webbrowser.open(page.as_uri())


def compare_reports(first: str, second: str) -> Path:
    """Write the page that compares two invocations or studies. Returns its path.

    Raises ConfigError for a name that nothing ran under, or that left no model in the store.
    """
    from tasks.reporting.comparison import write_comparison

    sides = [_side(name) for name in (first, second)]
    folder = study_home() / "reports" / "compare" / f"{first}-{second}"
    return write_comparison(folder, *sides)


def _side(name: str) -> "Side":
    from tasks.cache import store
    from tasks.reporting.comparison import Side

    found = _find(name)
    config = StudyConfig.model_validate(found.config)
    groups: dict[str, list[Entry]] = {}
    for record in found.tasks.values():
        entry = store.load(record.task, record.key) if record.key else None
        if entry is not None:
            groups.setdefault(_group(entry, config), []).append(entry)
    if not groups.get("train"):
        raise ConfigError(f"{name}: no trained model of it is in the store; run it again")
    return Side(f"{found.study} of {found.moment}", found.config, groups)


def _group(entry: "Entry", config: StudyConfig) -> str:
    """The group of an entry in its study: autoencoders of another recipe are a group of their own.

    The transfer section trains one as the written study did.
    """
    if entry.task != "train":
        return entry.task
    recipe = TrainingRecipe(**entry.result["recipe"])
    return "train" if recipe == config.recipe(recipe.seed) else "reported_encoder"


def _find(name: str) -> "Invocation":
    """The newest invocation of a study that came to an end, or the invocation of that name."""
    from tasks.execution.invocations import invocations

    for found in invocations():
        trained = any(one.task == "train" and one.outcome for one in found.tasks.values())
        if found.moment == name or (found.study == name and found.ended and trained):
            return found
    raise ConfigError(f"{name!r}: nothing ran by that name here; see: study status")
