"""Runs a study on a schedule: a Prefect server creates the runs, this process starts them."""

import asyncio
import os
import signal
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from zoneinfo import available_timezones

import typer
from httpx import TransportError
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner
from prefect.schedules import Cron, Interval, Schedule
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.types.entrypoint import EntrypointType
from pydantic import ValidationError

from flows.configuration.own_code import ALLOWED, served_digests
from flows.configuration.study_config import Section, StudyConfig
from flows.lifecycle.automations import automations, create_or_replace
from flows.lifecycle.interrupts import handle_signals, ignore_signals
from flows.lifecycle.prefect_environment import report_prefect_errors
from flows.lifecycle.recovery import close_crashed_invocations
from flows.servers.child_servers import (
    ChildServer,
    addresses_of,
    start_prefect,
    stop_servers,
    wait_for_answer,
)
from flows.servers.health import why_unreachable
from flows.study import study
from models.messages import plain_message
from models.specs import ConfigError
from tasks.system.addresses import without_credentials
from tasks.system.polling import wait_until
from tasks.system.running_servers import forget_servers, record_servers

POLL_SECONDS = 5.0
ONE_AT_A_TIME = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
DESCRIPTION = """Runs the study `{}`. Finished tasks are not computed again.

One run at a time: a scheduled run is cancelled if another run is in progress when it is due, and a
run that somebody starts waits for its turn. Of the runs that were due while `study serve` was not
running, one is run.
"""


def make_schedule(cron: str | None, interval: int | None, timezone: str) -> Schedule | None:
    """A schedule from a cron line or an interval in seconds; None without either.

    Raises ConfigError for a wrong cron line or timezone, or if both are given.
    """
    if cron is not None and interval is not None:
        raise ConfigError("--cron and --interval: give only one of them")
    if timezone not in available_timezones():
        raise ConfigError(f"--timezone {timezone!r}: no such timezone; try one like Europe/Berlin")
    if interval is not None:
        return Interval(interval, timezone=timezone)
    try:
        return None if cron is None else Cron(cron, timezone=timezone)
    except ValueError as error:
        why = plain_message(error.errors()[0]) if isinstance(error, ValidationError) else error
        raise ConfigError(f"--cron {cron!r}: {why}") from None


def run_on_schedule(
    config: StudyConfig,
    sections: tuple[Section, ...],
    schedule: Schedule | None,
    notify: str | None,
) -> None:
    """Create the study's deployment and run it when it is due, until Ctrl-C.

    ``notify`` names a notification block for failures, as TYPE/NAME. Unless PREFECT_API_URL names a
    Prefect server, one is started and stopped here. Exits with 1 if that server ends by itself.
    """
    handle_signals(_exit_on_signal)
    servers: list[ChildServer] = []
    try:
        if "PREFECT_API_URL" not in os.environ:
            servers.append(start_prefect("127.0.0.1"))
            wait_for_answer(servers[0])
            record_servers(addresses_of(servers))
        with _use_started_server(servers), report_prefect_errors():
            close_crashed_invocations()  # of an earlier `study serve`
            for automation in automations(config, notify):
                create_or_replace(automation)
            while True:
                error = _run_when_due(config, sections, schedule)
                handle_signals(_exit_on_signal)
                _wait_for_server(servers, error)
    finally:
        ignore_signals()  # a second Ctrl-C would leave the server running
        forget_servers(addresses_of(servers))
        stop_servers(servers)


def _use_started_server(servers: list[ChildServer]) -> AbstractContextManager[object]:
    """Make this process and the runs use the server that was started here, if there is one."""
    if not servers:
        return nullcontext()
    settings: dict[Any, str] = {PREFECT_API_URL: f"{servers[0].address}/api"}
    password = os.environ.get("PREFECT_SERVER_API_AUTH_STRING")
    if password:
        settings[PREFECT_API_AUTH_STRING] = password
    os.environ.update({setting.name: value for setting, value in settings.items()})
    return temporary_settings(settings)


def _exit_on_signal(number: int, _: object) -> None:
    sys.exit(128 + number if number != signal.SIGINT else 0)


class StudyRunner(Runner):
    """Prefect's runner; a signal cancels its run, waits for it, and ends the runner.

    Prefect's own does not wait, so that the run becomes Crashed.
    """

    def handle_sigterm(self, *_: object) -> None:
        """Prefect makes this the handler of SIGTERM; here it is that of the other signals, too."""
        ignore_signals()
        asyncio.get_running_loop().call_soon_threadsafe(self._stop_soon)

    def _stop_soon(self) -> None:
        self._stopping = asyncio.ensure_future(self.astop())  # kept, so that it is not collected


def _run_when_due(
    config: StudyConfig, sections: tuple[Section, ...], schedule: Schedule | None
) -> BaseException:
    """Run the study when it is due, until Ctrl-C, which exits with 0.

    Returns the error if the Prefect server no longer answers.
    """
    os.environ[ALLOWED] = ",".join(served_digests(config))  # which the runs inherit
    deployment = study.to_deployment(
        name=config.name,
        schedule=schedule,
        parameters={"config": config.model_dump(mode="json"), "sections": list(sections)},
        concurrency_limit=ONE_AT_A_TIME,
        description=DESCRIPTION.format(config.name),
        tags=["latent-study"],
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    assert isinstance(deployment, RunnerDeployment)  # outside a coroutine it always is
    try:
        runner = StudyRunner(
            pause_on_shutdown=False,  # so that one of the runs missed meanwhile is run later
            limit=None,
            query_seconds=POLL_SECONDS,
            prefetch_seconds=0,
        )
        runner.add_deployment(deployment)
        typer.echo(f"study {config.name} is served; start runs and see them on Prefect's page")
        asyncio.run(_serve(runner))
    except (BaseExceptionGroup, RuntimeError, TransportError) as error:
        first: BaseException = error
        while isinstance(first, BaseExceptionGroup):  # several loops poll the server
            first = first.exceptions[0]
        return first
    sys.exit(0)


async def _serve(runner: StudyRunner) -> None:
    handle_signals(runner.handle_sigterm)
    await runner.start()


def _wait_for_server(servers: list[ChildServer], error: BaseException) -> None:
    """Wait until the server answers again. Exits with 1 if it was started here and has ended."""
    address = without_credentials(os.environ["PREFECT_API_URL"]).rstrip("/")
    why = " ".join((str(error) or type(error).__name__).split())
    typer.echo(f"study: Prefect at {address}: {why}; trying again until it answers", err=True)

    def answers_or_ended() -> bool:
        if any(server.process.poll() is not None for server in servers):
            typer.echo("study: the Prefect server ended by itself", err=True)
            sys.exit(1)
        return not why_unreachable(f"{address}/health")

    time.sleep(POLL_SECONDS)
    wait_until(answers_or_ended, every=POLL_SECONDS)
