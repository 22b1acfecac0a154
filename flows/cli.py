"""The ``study`` command."""

import os
import sys
import warnings
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from flows.config import SECTIONS, Section
from flows.engine import prepare_environment
from flows.launch import launch, prepare_to_serve
from flows.load import load_config, shipped_studies
from models.specs import ConfigError
from tasks.addresses import without_credentials
from tasks.notices import show_warning

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Studies of representations with autoencoders: cached Prefect flows, every run in MLflow.",
    epilog="Example: study run digits",
)

StudyArgument = Annotated[
    str, typer.Argument(help=f"{', '.join(shipped_studies())}, or the path of a YAML file.")
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting.")
]
Sections = Annotated[
    list[str] | None,
    typer.Option(help=f"Only this section and what it needs: {', '.join(SECTIONS)}."),
]


def main() -> None:
    """Entry point: a user's mistake is one line and exit code 2."""
    warnings.showwarning = show_warning
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
    try:
        app()
    except ConfigError as error:
        typer.echo(f"study: {without_credentials(str(error))}", err=True)
        sys.exit(2)
    except BrokenPipeError:  # as in `study status | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except ConnectionError as error:  # MLflow's
        typer.echo(f"study: {error}", err=True)
        sys.exit(1)


@app.command(epilog="Example: study run mnist --set training.epochs=2 --set seeds=[0,1]")
def run(
    study: StudyArgument = "digits",
    overrides: Overrides = None,
    section: Sections = None,
) -> None:
    """Run a study, or sections of it. What is done already is not done again."""
    config = load_config(study, overrides)
    sections = _sections(section)
    launch(config, sections, [])


def _sections(names: list[str] | None) -> tuple[Section, ...]:
    unknown = [name for name in names or [] if name not in SECTIONS]
    if unknown:
        raise ConfigError(f"--section {unknown[0]!r}: choose from {', '.join(SECTIONS)}")
    return tuple(name for name in SECTIONS if not names or name in names)


@app.command(epilog="Example: study plan mnist --set training.epochs=10")
def plan(
    study: StudyArgument = "digits",
    overrides: Overrides = None,
    section: Sections = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 if anything would run.")
    ] = False,
) -> None:
    """Show what `study run` would compute, why, and for how long. Runs nothing."""
    from flows.plan import make_plan, plan_json, print_plan

    config = load_config(study, overrides)
    planned = make_plan(config, _sections(section))
    if as_json:
        typer.echo(plan_json(planned))
    else:
        print_plan(planned, config.runner.tasks_at_once)
    if check and any(task.action == "run" for task in planned):
        sys.exit(1)


@app.command(epilog=r"Example: study rerun mnist --task 'train\[depth=2, latent_dim=20, *]'")
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
    from flows.rerun import latest, matching

    config, sections = latest(study)
    launch(config, sections, matching(task or [], config, sections))


@app.command(epilog="Example: study serve mnist --cron '0 2 * * *'")
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
    config = load_config(study, overrides)
    sections = _sections(section)
    prepare_to_serve(config)
    from flows.serve import make_schedule, serve_study

    serve_study(config, sections, make_schedule(cron, interval, timezone), notify)


@app.command(epilog="Example: study gc --keep 2 --yes")
def gc(
    keep: Annotated[
        int, typer.Option(min=1, help="Keep what this many last invocations of each study use.")
    ] = 5,
    yes: Annotated[bool, typer.Option("--yes/--dry-run", help="Delete, or only show.")] = False,
    runs: Annotated[
        bool, typer.Option("--runs", help="Delete the MLflow runs of what is deleted, too.")
    ] = False,
) -> None:
    """Delete what no recent invocation uses."""
    from flows.gc import collect

    collect(keep, yes, runs)


@app.command(epilog="Example: study status")
def status(study: Annotated[str | None, typer.Argument(help="Only this study.")] = None) -> None:
    """Show past invocations: when, how they ended, what failed."""
    from flows.status import print_status

    print_status(study)


@app.command(epilog="Example: study report --compare mnist mnist-as-reported --open")
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
    """Print where the report page of a study lies, or write one that compares two."""
    from tasks.home import report_page

    if compare is not None:
        from flows.compare import compare_reports

        page = compare_reports(*compare)
    else:
        page = report_page(load_config(study).name)
    if not page.exists():
        typer.echo(f"study: no report at {page}; make it with: study run {study}", err=True)
        sys.exit(1)
    typer.echo(page)
    if show:
        webbrowser.open(page.as_uri())


@app.command(epilog=r"Example: study export 'train\[depth=2, latent_dim=20, seed=0]' --to exported")
def export(
    run: Annotated[str, typer.Argument(help="Id (or its start) or name of a run in MLflow.")],
    to: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write into.")],
) -> None:
    """Write a run's weights, spec, metrics (CSV and Parquet) and figures into a folder."""
    from tasks.export import export_run

    try:
        written = export_run(run, to)
    except LookupError as error:
        raise ConfigError(f"{error}; `study ui` shows the runs") from None
    for path in written:
        typer.echo(path)


@app.command(epilog="Example: study register mnist")
def register(
    study: Annotated[str, typer.Argument(help="Name of a study that ran here.")] = "digits",
) -> None:
    """Register the best models of every latent size of a study's dataset in MLflow."""
    from flows.register import print_registered

    print_registered(study)


@app.command(epilog="Example: study sync")
def sync() -> None:
    """Log to MLflow what earlier runs could not, because it was down or they were killed."""
    from tasks.tracking import tracker

    invocations = tracker.sync()
    left = f"what {invocations} earlier run{'s' if invocations > 1 else ''} left is logged"
    typer.echo(left if invocations else "nothing is left to log")


@app.command(epilog="Example: study ui")
def ui() -> None:
    """Find the pages of MLflow and Prefect, or start them on this machine until Ctrl-C."""
    prepare_environment()
    from flows.ui import serve_pages

    serve_pages()


if __name__ == "__main__":
    main()
