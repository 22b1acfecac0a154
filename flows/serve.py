"""``study serve``: a study on a schedule, run by this process through a Prefect server."""

import os
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import yaml
from prefect import serve
from prefect.automations import Automation
from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import EntrypointType
from prefect.schedules import Cron, Interval, Schedule
from prefect.settings import PREFECT_API_URL, temporary_settings
from pydantic import ValidationError

from flows.config import Section, StudyConfig
from flows.page_servers import start_prefect, stop, wait
from flows.server import announce, withdraw
from flows.study import study
from models.specs import ConfigError

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
    try:
        ZoneInfo(timezone)
        if cron is not None:
            return Cron(cron, timezone=timezone)
        return None if interval is None else Interval(interval, timezone=timezone)
    except (LookupError, ValueError) as error:
        what = f"--cron {cron!r}" if cron is not None else f"--interval {interval}"
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.args[0]
        raise ConfigError(f"{what}, --timezone {timezone!r}: {why}") from None


def serve_study(
    config: StudyConfig,
    sections: tuple[Section, ...],
    schedule: Schedule | None,
    notify: str | None,
) -> None:
    """Create the study's deployment and run what comes due, until Ctrl-C.

    Without a Prefect server one is started for as long.
    """
    if "PREFECT_API_URL" in os.environ:
        _serve(config, sections, schedule, notify)
        return
    page = start_prefect("127.0.0.1")
    try:
        wait(page)
        announce({page.name: page.address})
        with temporary_settings({PREFECT_API_URL: f"{page.address}/api"}):
            os.environ["PREFECT_API_URL"] = f"{page.address}/api"  # for the runs
            _serve(config, sections, schedule, notify)
    finally:
        withdraw()
        stop([page.process])


def _serve(
    config: StudyConfig,
    sections: tuple[Section, ...],
    schedule: Schedule | None,
    notify: str | None,
) -> None:
    for automation in automations(config, notify):
        ensure(automation)
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
    # the schedule goes on while nothing serves it, so that what was missed is caught up with
    serve(deployment, pause_on_shutdown=False, limit=None, **polling)


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
        loaded = Block.load(block)
    except (ValueError, RuntimeError) as error:
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
    """Have the server hold this automation once, as it is now."""
    with get_client(sync_client=True) as client:
        for known in client.read_automations_by_name(automation.name):
            client.delete_automation(UUID(str(known.id)))
    automation.create()
