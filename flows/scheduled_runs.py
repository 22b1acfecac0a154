"""A study on a schedule, run by this process through a Prefect server."""

import os
import signal
import sys
import time
import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from zoneinfo import available_timezones

import typer
from httpx import TransportError
from prefect import serve
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.schedules import Cron, Interval, Schedule
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.types.entrypoint import EntrypointType
from pydantic import ValidationError

from flows.configuration.study_config import Section, StudyConfig
from flows.lifecycle.automations import automations, ensure
from flows.lifecycle.prefect_environment import reaching_prefect
from flows.lifecycle.recovery import close_crashed_invocations
from flows.servers.child_servers import ChildServer, addresses_of, start_prefect, stop, wait
from flows.servers.health import why_unreachable
from flows.study import study
from models.specs import ConfigError
from tasks.system.addresses import without_credentials
from tasks.system.polling import wait_until
from tasks.system.running_servers import forget_servers, record_servers
from tasks.system.validation import plain_message

POLL_SECONDS = 5.0
ONE_AT_A_TIME = ConcurrencyLimitConfig(
    limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
)
DESCRIPTION = """Runs the study `{}`; what is done already is not done again.

One run at a time: a slot that comes due while a run is going is cancelled, and of the slots that
were missed while nothing served them one is run.
"""


def make_schedule(cron: str | None, interval: int | None, timezone: str) -> Schedule | None:
    """A schedule from a cron line or a number of seconds; None without either.

    Raises ConfigError for what is no schedule.
    """
    if cron is not None and interval is not None:
        raise ConfigError("--cron and --interval: give one of them")
    if timezone not in available_timezones():
        raise ConfigError(f"--timezone {timezone!r}: no such zone; for example Europe/Berlin")
    if interval is not None:
        return Interval(interval, timezone=timezone)
    try:
        return None if cron is None else Cron(cron, timezone=timezone)
    except ValueError as error:
        why = plain_message(error.errors()[0]) if isinstance(error, ValidationError) else error
        raise ConfigError(f"--cron {cron!r}: {why}") from None


def serve_study(
    config: StudyConfig,
    sections: tuple[Section, ...],
    schedule: Schedule | None,
    notify: str | None,
) -> None:
    """Create the study's deployment and run what comes due, until Ctrl-C.

    Without a Prefect server one is started for as long.
    """
    # Prefect's runner says this of itself when it is told to end
    warnings.filterwarnings("ignore", "coroutine 'Runner", RuntimeWarning)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores the latter
            signal.signal(number, _leave)
    servers: list[ChildServer] = []
    try:
        if "PREFECT_API_URL" not in os.environ:
            servers.append(start_prefect("127.0.0.1"))
            wait(servers[0])
            record_servers(addresses_of(servers))
        with _use(servers), reaching_prefect():
            close_crashed_invocations()  # which died with an earlier server
            for automation in automations(config, notify):
                ensure(automation)
            while True:
                trouble = _serve(config, sections, schedule)
                signal.signal(signal.SIGTERM, _leave)  # Prefect put its own there
                _wait_for_server(servers, trouble)
    finally:
        forget_servers(addresses_of(servers))
        stop([server.process for server in servers])


def _use(servers: list[ChildServer]) -> AbstractContextManager[Any]:
    """In here, and in the runs, Prefect's server is the one that was started here, if any."""
    if not servers:
        return nullcontext()
    settings: dict[Any, Any] = {PREFECT_API_URL: f"{servers[0].address}/api"}
    password = os.environ.get("PREFECT_SERVER_API_AUTH_STRING")
    if password:
        settings[PREFECT_API_AUTH_STRING] = password
    os.environ.update({setting.name: value for setting, value in settings.items()})
    return temporary_settings(settings)


def _leave(number: int, _: object) -> None:
    sys.exit(128 + number)


def _serve(
    config: StudyConfig, sections: tuple[Section, ...], schedule: Schedule | None
) -> BaseException:
    """Run what comes due until Ctrl-C, or until the server does not answer any more: why."""
    deployment: Any = study.to_deployment(
        name=config.name,
        schedule=schedule,
        parameters={"config": config.model_dump(mode="json"), "sections": list(sections)},
        concurrency_limit=ONE_AT_A_TIME,
        description=DESCRIPTION.format(config.name),
        tags=["latent-study"],
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    polling: dict[str, Any] = {"query_seconds": POLL_SECONDS, "prefetch_seconds": 0}
    try:
        # the schedule goes on while nothing serves it, so that what was missed is caught up with
        serve(deployment, pause_on_shutdown=False, limit=None, **polling)
    except (BaseExceptionGroup, RuntimeError, TransportError) as error:
        trouble: BaseException = error
        while isinstance(trouble, BaseExceptionGroup):  # of the loops that ask the server
            trouble = trouble.exceptions[0]
        return trouble
    sys.exit(0)


def _wait_for_server(servers: list[ChildServer], trouble: BaseException) -> None:
    """Wait until the server answers again; exits with 1 if it was started here and is gone."""
    address = without_credentials(os.environ["PREFECT_API_URL"]).rstrip("/")
    why = " ".join((str(trouble) or type(trouble).__name__).split())
    typer.echo(f"study: Prefect at {address}: {why}; trying again until it works", err=True)

    def answers_or_ended() -> bool:
        if any(server.process.poll() is not None for server in servers):
            typer.echo("study: the Prefect server ended by itself", err=True)
            sys.exit(1)
        return not why_unreachable(f"{address}/health")

    time.sleep(POLL_SECONDS)
    wait_until(answers_or_ended, every=POLL_SECONDS)
