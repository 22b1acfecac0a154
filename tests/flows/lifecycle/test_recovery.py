from contextlib import contextmanager
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Pending, Running

from flows.lifecycle import recovery
from flows.lifecycle.recovery import close_crashed_invocations, close_forgotten_runs
from tasks.execution.invocations import DIED, InvocationLog, invocations, open_invocations

OWN_FLOW_RUN = str(uuid4())


class Prefect:
    """A server that knows flow runs by their states, and records what is set."""

    def __init__(self):
        self.flow_runs, self.task_runs, self.states = {}, [], {}

    def read_flow_run(self, identifier):
        if str(identifier) not in self.flow_runs:
            raise ObjectNotFound(Exception())
        return SimpleNamespace(state=self.flow_runs[str(identifier)])

    def read_flow_runs(self, flow_run_filter):
        wanted = flow_run_filter.state.type.any_
        found = {one: state for one, state in self.flow_runs.items() if state.type in wanted}
        return [SimpleNamespace(id=UUID(one), state=state) for one, state in found.items()]

    def read_task_runs(self, task_run_filter, flow_run_filter=None):
        if flow_run_filter is not None:
            (self.filtered,) = flow_run_filter.id.any_
        self.task_states = task_run_filter.state.type.any_
        return self.task_runs

    def set_flow_run_state(self, identifier, state, force):
        self.states[str(identifier)] = (state.name, state.message, force)

    def set_task_run_state(self, identifier, state, force):
        self.states[identifier] = (state.name, state.message, force)


@pytest.fixture
def prefect(monkeypatch):
    server = Prefect()

    @contextmanager
    def client(sync_client):
        yield server

    monkeypatch.setattr(recovery, "get_client", client)
    monkeypatch.setattr(recovery, "flow_run", SimpleNamespace(id=OWN_FLOW_RUN))
    return server


@pytest.fixture
def killed(monkeypatch):
    """The invocations whose MLflow runs the next tracker closes."""
    found = []
    monkeypatch.setattr(recovery, "mark_dead", found.append)
    return found


def dead(flow_run_id):
    """An invocation of this flow run whose process was killed."""
    log = InvocationLog("smoke", {}, [])
    log.note(flow_run_id=flow_run_id)
    log._process_lock.release()  # as the system does when a process ends
    return log.id


def test_the_runs_of_a_killed_process_are_closed_everywhere(prefect, killed):
    flow_run = str(uuid4())
    prefect.flow_runs[flow_run] = Running()
    prefect.task_runs = [SimpleNamespace(id="task-run")]
    died = dead(flow_run)
    close_crashed_invocations()
    crashed = ("Crashed", DIED, True)
    assert prefect.states == {flow_run: crashed, "task-run": crashed}
    assert prefect.filtered == UUID(flow_run)
    assert set(prefect.task_states) == {"RUNNING", "PENDING", "SCHEDULED"}
    assert killed == [died]
    assert next(invocations()).message == DIED
    assert list(open_invocations()) == []


def test_a_running_invocation_is_left_alone(prefect, killed):
    log = InvocationLog("smoke", {}, [])
    close_crashed_invocations()
    assert (prefect.states, killed) == ({}, [])
    assert next(invocations()).state == "RUNNING"
    log.end("COMPLETED", "")


@pytest.mark.parametrize("retry", ["this flow run", "another living process"])
def test_a_flow_run_that_is_retried_is_not_marked(prefect, killed, retry):
    flow_run = OWN_FLOW_RUN if retry == "this flow run" else str(uuid4())
    prefect.flow_runs[flow_run] = Running()
    died = dead(flow_run)
    second = InvocationLog("smoke", {}, [])
    second.note(flow_run_id=flow_run)
    close_crashed_invocations()
    assert prefect.states == {}
    assert killed == [died]
    second.end("COMPLETED", "")


@pytest.mark.parametrize(("state", "marked"), [(Completed(), False), (Pending(), True)])
def test_a_flow_run_that_ended_keeps_its_state(prefect, killed, state, marked):
    flow_run = str(uuid4())
    prefect.flow_runs[flow_run] = state
    dead(flow_run)
    close_crashed_invocations()
    assert (flow_run in prefect.states) is marked


@pytest.mark.parametrize("flow_run", [None, "no id", "5c3052a5-0180-4ff3-848e-bbaa69d62b99"])
def test_a_flow_run_that_no_server_knows_is_passed_over(prefect, killed, flow_run):
    died = dead(flow_run)
    close_crashed_invocations()
    assert killed == [died]
    assert prefect.states == {}


def ended(prefect, state, **outcomes):
    """The flow run of an invocation that ended, which Prefect still shows as running."""
    identifier = str(uuid4())
    prefect.flow_runs[identifier] = Running()
    for name in [*outcomes, "without a record"]:
        task = SimpleNamespace(id=name, name=name, flow_run_id=UUID(identifier), state=Running())
        prefect.task_runs.append(task)
    log = InvocationLog("smoke", {}, [])
    log.note(flow_run_id=identifier)
    for name, outcome in outcomes.items():
        log.task(name, outcome=outcome)
    log.end(state, "its disk is full")
    return identifier


def test_what_prefect_was_not_told_is_ended_at_the_next_start(prefect):
    identifier = ended(prefect, "FAILED", data="done", train="failed", report="skipped")
    close_forgotten_runs()
    assert prefect.states == {
        identifier: ("Failed", "its disk is full", True),
        "data": ("Completed", None, True),
        "train": ("Failed", None, True),
        "report": ("Cancelled", None, True),
        "without a record": ("Cancelled", None, True),
    }


def test_what_runs_is_not_ended(prefect):
    retried = ended(prefect, "FAILED")
    again = InvocationLog("smoke", {}, [])
    again.note(flow_run_id=retried)
    scheduled = ended(prefect, "CANCELLED")
    prefect.flow_runs[scheduled] = Pending()  # set after the invocation ended: a retry is due
    prefect.task_runs.clear()
    prefect.flow_runs |= {str(uuid4()): Running(), OWN_FLOW_RUN: Running()}
    close_forgotten_runs()
    assert prefect.states == {}
    again.end("COMPLETED", "")
