"""``study serve``: a study on a schedule, run by this process through a Prefect server."""

import os
import signal
import sys
import time
import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

import typer
import yaml
from httpx import TransportError
from prefect import serve
from prefect.automations import Automation
from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block, UnknownBlockType
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import EntrypointType
from prefect.events.schemas.automations import AutomationCore
from prefect.schedules import Cron, Interval, Schedule
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from pydantic import ValidationError

from flows.config import Section, StudyConfig
from flows.engine import reaching_prefect
from flows.page_servers import Page, addresses_of, start_prefect, stop, wait
from flows.recovery import close_crashed_invocations
from flows.server import silence
from flows.study import study
from models.specs import ConfigError
from tasks.addresses import without_credentials
from tasks.announcements import announce, withdraw

AUTOMATIONS = Path(__file__).with_name("automations.yaml")
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
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
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
    pages: list[Page] = []
    try:
        if "PREFECT_API_URL" not in os.environ:
            pages.append(start_prefect("127.0.0.1"))
            wait(pages[0])
            announce(addresses_of(pages))
        with _use(pages), reaching_prefect():
            close_crashed_invocations()  # which died with an earlier server
            for automation in automations(config, notify):
                ensure(automation)
            while True:
                trouble = _serve(config, sections, schedule)
                signal.signal(signal.SIGTERM, _leave)  # Prefect put its own there
                _wait_for_server(pages, trouble)
    finally:
        withdraw(addresses_of(pages))
        stop([page.process for page in pages])


def _use(pages: list[Page]) -> AbstractContextManager[Any]:
    """In here, and in the runs, Prefect's server is the one that was started here, if any."""
    if not pages:
        return nullcontext()
    settings: dict[Any, Any] = {PREFECT_API_URL: f"{pages[0].address}/api"}
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


def _wait_for_server(pages: list[Page], trouble: BaseException) -> None:
    """Wait until the server answers again; exits with 1 if it was started here and is gone."""
    address = without_credentials(os.environ["PREFECT_API_URL"]).rstrip("/")
    why = " ".join((str(trouble) or type(trouble).__name__).split())
    typer.echo(f"study: Prefect at {address}: {why}; trying again until it works", err=True)
    time.sleep(POLL_SECONDS)
    while silence(f"{address}/health"):
        if any(page.process.poll() is not None for page in pages):
            typer.echo("study: the Prefect server ended by itself", err=True)
            sys.exit(1)
        time.sleep(POLL_SECONDS)


def automations(config: StudyConfig, notify: str | None) -> list[Automation]:
    """Those that are shipped, and one that tells of failures through a notification block."""
    content = yaml.safe_load(AUTOMATIONS.read_text(encoding="utf-8"))
    found = [Automation.model_validate(one) for one in content["automations"]]
    return [*found, tell_of_failures(config.name, notify)] if notify else found


def tell_of_failures(name: str, block: str) -> Automation:
    """Send word of a study's failed and crashed runs to a notification block, ``TYPE/NAME``.

    Raises ConfigError if there is no such block.
    """
    try:
        if block.count("/") != 1:
            raise ValueError("no block is named like that")
        loaded = Block.load(block)
    except (ValueError, RuntimeError, UnknownBlockType) as error:
        raise ConfigError(
            f"--notify {block!r}: {str(error).splitlines()[0]}; create it on Prefect's page "
            "under Blocks, and name it as TYPE/NAME"
        ) from None
    if not isinstance(loaded, NotificationBlock):
        raise ConfigError(f"--notify {block!r}: it sends no notifications; try slack-webhook")
    return Automation.model_validate(
        {
            "name": f"latent-study-notify-{name}",
            "description": f"Tells {block} of failed and crashed runs of the study {name}.",
            "trigger": {
                "type": "event",
                "posture": "Reactive",
                "expect": ["prefect.flow-run.Failed", "prefect.flow-run.Crashed"],
                "match": {"prefect.resource.id": ["prefect.flow-run.*"]},
                "match_related": {
                    "prefect.resource.role": "deployment",
                    "prefect.resource.name": name,
                },
                "threshold": 1,
            },
            "actions": [
                {
                    "type": "send-notification",
                    "block_document_id": str(loaded._block_document_id),
                    "subject": f"study {name}: {{{{ flow_run.state.name }}}}",
                    "body": "{{ flow_run.name }}: {{ flow_run.state.message }}",
                }
            ],
        }
    )


def ensure(automation: Automation) -> None:
    """Have the server hold this automation once, as it is now.

    One that is there already stays: with it would go what it knows of running runs.
    """
    with get_client(sync_client=True) as client:
        known = client.read_automations_by_name(automation.name)
        if [_content(one) for one in known] == [_content(automation)]:
            return
        for one in known:
            client.delete_automation(UUID(str(one.id)))
    automation.create()


def _content(automation: AutomationCore) -> dict[str, Any]:
    # not as JSON, where its sets become lists of any order
    return automation.model_dump(exclude={"id": True, "trigger": {"id"}})
