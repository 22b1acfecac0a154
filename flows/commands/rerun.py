"""``study rerun``: the latest invocation again, which computes what failed or is missing."""

import re
from typing import Annotated

import typer

from flows.configuration.study_config import SECTIONS, Section, StudyConfig
from models.specs import ConfigError


def rerun(
    study: Annotated[
        str | None, typer.Argument(help="Name of a study that ran here; default: the latest.")
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Compute this task again though it is done."),
    ] = None,
) -> None:
    """Run the latest invocation again: what failed or is missing, or chosen tasks.

    With --task exactly the chosen tasks are computed again, and what depends on them if their
    outcome changed.
    """
    from flows.launch import launch

    config, sections = latest(study)
    launch(config, sections, force=matching(task or [], config, sections))


def latest(study: str | None) -> tuple[StudyConfig, tuple[Section, ...]]:
    """Configuration and sections of the latest invocation, of one study or of any.

    Raises ConfigError if there is none.
    """
    from tasks.execution.invocations import invocations

    found = next(invocations(study), None)
    if found is None:
        name = f"study {study!r}" if study else "study"
        raise ConfigError(f"no {name} has run here yet; start one with: study run")
    sections = tuple(section for section in SECTIONS if section in found.sections)
    return StudyConfig.model_validate(found.config), sections


def matching(patterns: list[str], config: StudyConfig, sections: tuple[Section, ...]) -> list[str]:
    """Names of the tasks that patterns with ``*`` and ``?`` choose.

    Raises ConfigError for a pattern that chooses none.
    """
    from flows.plan import make_plan

    if not patterns:
        return []  # planning reads the whole store, as running it will
    names = [task.name for task in make_plan(config, sections)]
    chosen: dict[str, None] = {}
    for pattern in patterns:
        expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
        found = [name for name in names if re.fullmatch(expression, name)]
        if not found:
            kind = pattern.partition("[")[0].rstrip("*")
            near = [name for name in names if name.startswith(kind)] or names
            raise ConfigError(
                f"--task {pattern!r}: no such task in study {config.name}; there are "
                f"{', '.join(near[:4])}{', ...' if len(near) > 4 else ''}"
            )
        chosen |= dict.fromkeys(found)
    return list(chosen)
