"""Arguments and options that several commands share."""

from typing import Annotated

import typer

from flows.configuration.load import shipped_studies
from flows.configuration.study_config import SECTIONS
from models.specs import ConfigError

StudyArgument = Annotated[
    str, typer.Argument(help=f"One of {', '.join(shipped_studies())}, or the path of a YAML file.")
]
TABLE_WIDTH = 500  # characters; no column is cut, however narrow the terminal is
RAN_STUDY = "Name of a study that has run here, or its YAML file"
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; may be repeated."),
]
Sections = Annotated[
    list[str] | None,
    typer.Option(
        help=f"Only this section and what it needs; may be repeated: {', '.join(SECTIONS)}."
    ),
]


def never_ran(study: str) -> ConfigError:
    """The error for the name of a study of which there is no record."""
    return ConfigError(f"no study {study!r} has run here; list those that have with: study status")
