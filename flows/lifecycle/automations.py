"""What Prefect's server watches for scheduled runs."""

from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.automations import Automation
from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block, UnknownBlockType
from prefect.client.orchestration import get_client
from prefect.events.schemas.automations import AutomationCore

from flows.configuration.study_config import StudyConfig
from models.specs import ConfigError
from tasks.system.yaml_files import read_yaml

AUTOMATIONS = Path(__file__).with_name("automations.yaml")


def automations(config: StudyConfig, notify: str | None) -> list[Automation]:
    """Those that are shipped, and one that tells of failures through a notification block."""
    content = read_yaml(AUTOMATIONS, "automations")
    found = [Automation.model_validate(one) for one in content["automations"]]
    return [*found, notify_of_failures(config.name, notify)] if notify else found


def notify_of_failures(name: str, block: str) -> Automation:
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
