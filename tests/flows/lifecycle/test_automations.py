from contextlib import contextmanager
from types import SimpleNamespace
from uuid import uuid4

import pytest
from prefect.automations import Automation
from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block

from flows.configuration.load import load_config
from flows.launch import HEARTBEAT_SECONDS
from flows.lifecycle import automations as module
from flows.lifecycle.automations import (
    automations,
    create_or_replace,
    notify_of_failures,
    watch_this_run,
)
from models.specs import ConfigError

CONFIG = load_config("smoke")


def test_the_shipped_automation_waits_for_three_heartbeats():
    (shipped,) = automations(CONFIG, None)
    assert shipped.trigger.within.total_seconds() == 3 * int(HEARTBEAT_SECONDS)
    assert shipped.actions[0].state == "CRASHED"


@pytest.fixture
def server(monkeypatch):
    """What Prefect's server holds: automations by id, changed as a client does."""
    held = {}

    def create(automation):
        held[uuid4()] = automation

    client = SimpleNamespace(
        read_automations_by_name=lambda name: [
            one.model_copy(update={"id": identifier})
            for identifier, one in held.items()
            if one.name == name
        ],
        delete_automation=held.pop,
    )

    @contextmanager
    def get_client(sync_client):
        yield client

    monkeypatch.setattr(module, "get_client", get_client)
    monkeypatch.setattr(Automation, "create", create)
    return held


def test_an_unchanged_automation_is_kept_and_a_changed_one_replaced(server):
    (shipped,) = automations(CONFIG, None)
    create_or_replace(shipped)
    (first,) = server
    create_or_replace(automations(CONFIG, None)[0])
    assert list(server) == [first]
    create_or_replace(shipped.model_copy(update={"description": "another"}))
    (second,) = server
    assert second != first
    assert server[second].description == "another"


def test_of_several_of_one_name_the_first_is_kept(server):
    (shipped,) = automations(CONFIG, None)
    for _ in range(2):
        server[uuid4()] = shipped
    first = next(iter(server))
    create_or_replace(shipped)
    assert list(server) == [first]


def test_a_run_of_a_deployment_leaves_one_automation(server, monkeypatch):
    monkeypatch.setattr(module, "deployment", SimpleNamespace(id=None))
    watch_this_run()
    assert server == {}
    monkeypatch.setattr(module, "deployment", SimpleNamespace(id="1"))
    watch_this_run()
    (first,) = server
    server[uuid4()] = automations(CONFIG, None)[0]  # by `prefect automation create`
    watch_this_run()
    assert list(server) == [first]


@pytest.mark.parametrize("block", ["slack", "a/b/c"])
def test_a_block_is_named_by_type_and_name(block):
    with pytest.raises(ConfigError, match=rf"--notify '{block}': .*TYPE/NAME"):
        notify_of_failures("smoke", block)


def loads(monkeypatch, block):
    monkeypatch.setattr(Block, "load", lambda name: block)


def test_a_block_must_send_notifications(monkeypatch):
    loads(monkeypatch, SimpleNamespace())
    with pytest.raises(ConfigError, match="this block sends no notifications"):
        automations(CONFIG, "secret/mine")


def test_failures_and_crashes_of_one_study_are_notified(monkeypatch):
    class Mail(NotificationBlock):
        def notify(self, body, subject=None):
            pass

    block = Mail()
    block._block_document_id = uuid4()
    loads(monkeypatch, block)
    _, notifying = automations(CONFIG, "mail/mine")
    assert notifying.trigger.expect == {"prefect.flow-run.Failed", "prefect.flow-run.Crashed"}
    assert notifying.trigger.match_related.root["prefect.resource.name"] == "smoke"
    assert notifying.actions[0].block_document_id == block._block_document_id
    assert notifying.actions[0].subject == "study smoke: {{ flow_run.state.name }}"
