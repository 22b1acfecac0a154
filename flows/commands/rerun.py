"""``study rerun``: repeats the latest invocation, which computes what failed or is missing."""

from typing import Annotated

import typer

from flows.commands.options import RAN_STUDY
from flows.configuration.load import name_of_study, recorded_config
from flows.configuration.own_code import forget_digests, read_own_code
from flows.configuration.study_config import SECTIONS, Section, StudyConfig
from models.specs import ConfigError


def rerun(
    study: Annotated[
        str | None, typer.Argument(help=f"{RAN_STUDY}; default: the latest one.")
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Compute this task again although it is done; * and ? match any text.",
        ),
    ] = None,
) -> None:
    """Repeat the latest invocation: compute what failed or is missing, or chosen tasks.

    With --task the chosen tasks are computed again too, and tasks that depend on them if their
    results changed.
    """
    from flows.launch import launch
    from flows.plan import make_plan

    config, sections = latest_invocation(None if study is None else name_of_study(study))
    # without patterns no plan is needed, which would read the whole store
    force = make_plan(config, sections).matching(task) if task else []
    launch(config, sections, force)


def latest_invocation(study: str | None) -> tuple[StudyConfig, tuple[Section, ...]]:
    """The configuration and sections of the latest invocation, of one study or of any.

    Raises ConfigError if there is none, or if this version cannot read it.
    """
    from tasks.execution.invocations import UnreadableRecord, records

    found = next(records(study), None)
    if found is None:
        name = f"study {study!r}" if study else "study"
        raise ConfigError(f"no {name} has run here yet; start one with: study run")
    if isinstance(found, UnreadableRecord):
        raise ConfigError(f"the latest run: {found}; start again with: study run")
    if script := found.config.get("pipeline"):
        raise ConfigError(
            f"run {found.short_id}: {found.study} is a pipeline, no study; start it again with: "
            f"python {script}"
        )
    unknown = [section for section in found.sections if section not in SECTIONS]
    if unknown:
        raise ConfigError(
            f"run {found.short_id}: section {unknown[0]!r} is of another version of this project; "
            f"start again with: study run {found.study}"
        )
    sections = tuple(section for section in SECTIONS if section in found.sections)
    config = recorded_config(found.config, found.short_id, found.study)
    return read_own_code(forget_digests(config)), sections
