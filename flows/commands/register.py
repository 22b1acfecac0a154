"""``study register``: registers the best models under names and aliases."""

import sys
from typing import Annotated

import typer

from flows.commands.options import RAN_STUDY
from flows.configuration.load import name_of_study
from models.specs import ConfigError
from tasks.system.user_warnings import one_line


def register(
    study: Annotated[str, typer.Argument(help=f"{RAN_STUDY}.")] = "digits",
) -> None:
    """Register the best models of each latent size on a study's dataset in MLflow."""
    from tasks.registry.register import register_best
    from tasks.tracking.client import connect, tracking_errors

    study = name_of_study(study)
    try:
        with tracking_errors("did not register"):
            found = register_best(connect(), study)
    except LookupError as error:
        raise ConfigError(f"{error}; see: study status") from None
    width = max((len(f"{one.name}@{one.alias}") for one in found.registered), default=0)
    for one in found.registered:
        name = f"models:/{f'{one.name}@{one.alias}':{width}}"
        value = f"{one.metric} {one.value:.4g}"
        typer.echo(one_line(f"{name}  version {one.version}, {value}, {one.run}"))
    for why in found.refused:
        typer.echo(
            f"study: {one_line(why)}; not registered, `study run {study}` logs what is missing",
            err=True,
        )
    if found.refused:
        sys.exit(1)
