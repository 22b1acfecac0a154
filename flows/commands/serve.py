"""``study serve``: a study on a schedule."""

from typing import Annotated

import typer

from flows.commands.options import Overrides, Sections, StudyArgument, chosen_sections
from flows.configuration.load import load_config


def serve(
    study: StudyArgument = "digits",
    overrides: Overrides = None,
    section: Sections = None,
    cron: Annotated[
        str | None, typer.Option(help="When to run, as five fields: minute hour day month weekday.")
    ] = None,
    interval: Annotated[
        int | None,
        typer.Option(min=1, max=31_622_400, metavar="SECONDS", help="Run every so many seconds."),
    ] = None,
    timezone: Annotated[str, typer.Option(help="Of the schedule, as Europe/Berlin.")] = "UTC",
    notify: Annotated[
        str | None,
        typer.Option(
            metavar="BLOCK",
            help="Prefect's notification block to tell of failures, until deleted on its page.",
        ),
    ] = None,
) -> None:
    """Run a study on a schedule, and from Prefect's page, until Ctrl-C."""
    from flows.launch import prepare_to_serve

    config = load_config(study, overrides)
    sections = chosen_sections(section)
    prepare_to_serve(config)
    # imported last: prefect reads its settings when it is imported
    from flows.scheduled_runs import make_schedule, serve_study

    serve_study(config, sections, make_schedule(cron, interval, timezone), notify)
