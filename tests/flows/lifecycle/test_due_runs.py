from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import uuid4

import pytest

from flows.lifecycle import due_runs
from flows.lifecycle.due_runs import cancel_due_runs

DEPLOYMENT = uuid4()


def run(name, state="Late", auto_scheduled=True, run_count=0):
    return SimpleNamespace(
        id=name, state_name=state, auto_scheduled=auto_scheduled, run_count=run_count
    )


@pytest.fixture
def server(monkeypatch):
    """A server with runs of the deployment; what was asked of it and set."""
    found = SimpleNamespace(runs=[], filters=[], states={})

    def read_flow_runs(flow_run_filter):
        found.filters.append(flow_run_filter)
        return found.runs

    def set_flow_run_state(identifier, state, force):
        found.states[identifier] = (state.name, force)

    @contextmanager
    def get_client(sync_client):
        yield SimpleNamespace(read_flow_runs=read_flow_runs, set_flow_run_state=set_flow_run_state)

    monkeypatch.setattr(due_runs, "get_client", get_client)
    monkeypatch.setattr(due_runs, "deployment", SimpleNamespace(id=str(DEPLOYMENT)))
    return found


def test_scheduled_runs_that_are_due_are_cancelled_and_others_wait(server):
    server.runs = [
        run("missed"),
        run("waiting", "AwaitingConcurrencySlot"),
        run("by hand", "AwaitingConcurrencySlot", auto_scheduled=False),
        run("retried by hand", "AwaitingRetry"),
        run("retried, waiting", "AwaitingConcurrencySlot", run_count=1),
    ]
    cancel_due_runs()
    assert server.states == {"missed": ("Cancelled", True), "waiting": ("Cancelled", True)}
    (asked,) = server.filters
    assert asked.deployment_id.any_ == [DEPLOYMENT]
    assert asked.state.type.any_ == ["SCHEDULED"]
    assert asked.expected_start_time.before_ <= datetime.now(UTC)


def test_a_run_without_a_deployment_asks_nothing(server, monkeypatch):
    monkeypatch.setattr(due_runs, "deployment", SimpleNamespace(id=None))
    cancel_due_runs()
    assert server.filters == []
