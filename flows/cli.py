"""The ``study`` command."""

import sys
import warnings
import webbrowser
from typing import Annotated, Any

import typer

from flows.config import SECTIONS, Section, StudyConfig, load_config, shipped_studies
from flows.engine import prepare_environment
from flows.interrupt import restore_signals, stop_on_signals
from models.specs import ConfigError

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


def main() -> None:
    """Entry point: a user's mistake is one line and exit code 2."""
    warnings.showwarning = lambda message, *_, **__: typer.echo(f"warning: {message}", err=True)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
    try:
        app()
    except ConfigError as error:
        typer.echo(f"study: {error}", err=True)
        sys.exit(2)


@app.command(epilog="Example: study run mnist --set training.epochs=2 --set seeds=[0,1]")
def run(
    study: StudyArgument = "digits",
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting.")
    ] = None,
    section: Annotated[
        list[str] | None,
        typer.Option(help=f"Run only this section and what it needs: {', '.join(SECTIONS)}."),
    ] = None,
) -> None:
    """Run a study, or sections of it. What is done already is not done again."""
    config = load_config(study, overrides)
    sections = _sections(section)
    prepare_environment()
    stop_on_signals()
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from prefect.task_runners import ThreadPoolTaskRunner

    from flows.study import SECTION_FLOWS  # prefect takes seconds to import
    from flows.study import study as whole_study
    from tasks.session import default_width
    from tasks.tracking import mlflow_config

    mlflow_config()  # refuse a bad file before any work
    chosen: Any = whole_study
    arguments: dict[str, Any] = {"config": config, "sections": list(sections)}
    if len(sections) == 1:
        chosen = SECTION_FLOWS[sections[0]]
        arguments = {"config": config}
    width = config.runner.width or default_width()
    chosen = chosen.with_options(
        task_runner=ThreadPoolTaskRunner(max_workers=width), flow_run_name=config.name
    )
    typer.echo(f"study {config.name}: {', '.join(sections)}")
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        state = chosen(**arguments, return_state=True)
    restore_signals()
    _summarize(config, state)


def _sections(names: list[str] | None) -> tuple[Section, ...]:
    unknown = [name for name in names or [] if name not in SECTIONS]
    if unknown:
        raise ConfigError(f"--section {unknown[0]!r}: choose from {', '.join(SECTIONS)}")
    return tuple(name for name in SECTIONS if not names or name in names)


def _summarize(config: StudyConfig, state: Any) -> None:
    from flows.study import reason
    from tasks.publish import report_page

    page = report_page(config.name)
    if page.exists():
        typer.echo(f"report: {page}")
    if not state.is_completed():
        typer.echo(f"study: {reason(state)}", err=True)
        sys.exit(1)
    typer.echo(f"{state.message}; compare the runs with: study ui")


@app.command(epilog="Example: study status")
def status(study: Annotated[str | None, typer.Argument(help="Only this study.")] = None) -> None:
    """Show past invocations: when, how they ended, what failed."""
    from flows.status import print_status

    print_status(study)


@app.command(epilog="Example: study report mnist --open")
def report(
    study: StudyArgument = "digits",
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Print where the report page of a study lies."""
    from tasks.publish import report_page

    page = report_page(load_config(study).name)
    if not page.exists():
        typer.echo(f"study: no report at {page}; make it with: study run {study}", err=True)
        sys.exit(1)
    typer.echo(page)
    if show:
        webbrowser.open(page.as_uri())


@app.command(epilog="Example: study ui")
def ui() -> None:
    """Start the pages of MLflow and Prefect on this machine until Ctrl-C."""
    prepare_environment()
    from flows.ui import serve_pages

    serve_pages()


if __name__ == "__main__":
    main()
