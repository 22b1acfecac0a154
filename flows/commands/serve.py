"""``study serve``: runs a study on a schedule."""

from typing import Annotated

import typer

from flows.commands.options import Overrides, Sections, StudyArgument
from flows.configuration.load import chosen_sections, load_config


def serve(
    study: StudyArgument = "digits",
    overrides: Overrides = None,
    section: Sections = None,
    cron: Annotated[
        str | None, typer.Option(help="When to run, in five fields: minute hour day month weekday.")
    ] = None,
    interval: Annotated[
        int | None,
        typer.Option(
            min=1, max=31_622_400, metavar="SECONDS", help="Run once per this many seconds."
        ),
    ] = None,
    timezone: Annotated[
        str, typer.Option(help="Timezone of the schedule, for example Europe/Berlin.")
    ] = "UTC",
    notify: Annotated[
        str | None,
        typer.Option(
            metavar="BLOCK",
            help="Notify this block of Prefect, TYPE/NAME, of failed runs. The automation for it "
            "remains until it is deleted on Prefect's page.",
        ),
    ] = None,
) -> None:
    """Run a study on a schedule, and when started on Prefect's page, until Ctrl-C."""
    from flows.launch import prepare_scheduled_runs

    config = load_config(study, overrides)
    sections = chosen_sections(section)
    prepare_scheduled_runs(config)
    # imported last: Prefect reads its variables when it is imported
    from flows.scheduled_runs import make_schedule, run_on_schedule

    run_on_schedule(config, sections, make_schedule(cron, interval, timezone), notify)
