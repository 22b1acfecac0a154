"""Automations: what Prefect's server does when scheduled runs fail or die."""

from pathlib import Path
from uuid import UUID

from prefect.automations import Automation
from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block, UnknownBlockType
from prefect.client.orchestration import get_client
from prefect.events.schemas.automations import AutomationCore
from prefect.runtime import deployment

from flows.configuration.study_config import StudyConfig
from flows.lifecycle.run_page import only_warns
from models.specs import ConfigError
from tasks.system.yaml_files import read_yaml

AUTOMATIONS = Path(__file__).with_name("automations.yaml")


def automations(config: StudyConfig, notify: str | None) -> list[Automation]:
    """The shipped automations, and one that sends failures to a notification block, if given."""
    found = _shipped()
    return [*found, notify_of_failures(config.name, notify)] if notify else found


def _shipped() -> list[Automation]:
    content = read_yaml(AUTOMATIONS, "automations")
    return [Automation.model_validate(one) for one in content["automations"]]


def watch_this_run() -> None:
    """In a run of a deployment: have Prefect's server watch it, by one automation however many
    were created for it. Only warns if the server refuses.
    """
    if deployment.id is None:
        return
    with only_warns():
        for automation in _shipped():
            create_or_replace(automation)


def notify_of_failures(name: str, block: str) -> Automation:
    """Send a study's failed and crashed runs to the notification block ``TYPE/NAME``.

    Raises ConfigError if there is no such block.
    """
    try:
        if block.count("/") != 1:
            raise ValueError("a block is named TYPE/NAME")
        loaded = Block.load(block)
    except (ValueError, RuntimeError, UnknownBlockType) as error:
        raise ConfigError(
            f"--notify {block!r}: {str(error).splitlines()[0]}; create the block on Prefect's "
            "page under Blocks, and give its TYPE/NAME"
        ) from None
    if not isinstance(loaded, NotificationBlock):
        raise ConfigError(
            f"--notify {block!r}: this block sends no notifications; try slack-webhook"
        )
    return Automation.model_validate(
        {
            "name": f"latent-study-notify-{name}",
            "description": f"Notifies {block} of failed and crashed runs of the study {name}.",
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


def create_or_replace(automation: Automation) -> None:
    """Create this automation on the server, in place of others with its name.

    One that is there unchanged is kept: a new one would not know the runs that are running.
    """
    wanted = _content(automation)
    with get_client(sync_client=True) as client:
        known = client.read_automations_by_name(automation.name)
        kept = next((one.id for one in known if _content(one) == wanted), None)
        for one in known:
            if one.id != kept:
                client.delete_automation(UUID(str(one.id)))
    if kept is None:
        automation.create()


def _content(automation: AutomationCore) -> dict[str, object]:
    # not as JSON: its sets would become lists in any order
    return automation.model_dump(exclude={"id": True, "trigger": {"id"}})
