"""How an invocation begins and ends, without tasks."""

import errno
import re
from types import SimpleNamespace

import pytest

from flows import invocation
from flows.configuration.runner_config import RunnerConfig
from flows.invocation import Asked, _close, _parent_run
from tasks.execution.invocations import InvocationLog, invocations
from tasks.system.disk_errors import DiskError
from tests.tasks.execution.sessions import Recorder

PARAMETERS = {"name": "smoke", "sections": ["theory"]}
ASKED = Asked("smoke", {}, ["theory"], PARAMETERS, RunnerConfig())


@pytest.fixture
def tracker(monkeypatch):
    found = Recorder()
    monkeypatch.setattr(invocation, "Tracker", lambda name, invocation: found)
    return found


@pytest.fixture
def log():
    return InvocationLog("smoke", {}, [])


def run_until(error, log):
    with _parent_run(log, ASKED):
        raise error


def test_the_parent_run_has_the_settings_and_stays_open(log, tracker):
    with _parent_run(log, ASKED) as opened:
        assert opened is tracker
    ((method, parameters, title),) = tracker.calls
    assert method == "start_study"
    assert parameters == PARAMETERS
    assert re.fullmatch(r"smoke, \d+ \w{3} \d\d:\d\d UTC", title)
    assert next(invocations()).state == "RUNNING"


def test_an_error_closes_the_parent_run_and_the_record_as_failed(log, tracker):
    with pytest.raises(OSError, match="disk is full"):
        run_until(OSError("disk is full"), log)
    found = next(invocations())
    assert (found.state, found.message) == ("FAILED", "disk is full")
    assert tracker.calls[-1] == ("finish_study", "FAILED", {}, {"study.failures": "disk is full"})


def test_a_full_disk_closes_the_record_and_waits_for_nothing(log, tracker):
    with pytest.raises(DiskError, match="its disk is full"):
        run_until(OSError(errno.ENOSPC, "no space"), log)
    found = next(invocations())
    assert found.state == "FAILED"
    assert "its disk is full" in found.message
    assert tracker.calls[-1] == ("interrupt",)


def test_a_record_that_cannot_be_closed_hides_no_full_disk(log, tracker, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(log, "end", refuse)
    with pytest.raises(DiskError, match="/store: its disk is full"):
        run_until(DiskError("/store: its disk is full"), log)
    assert tracker.calls[-1] == ("interrupt",)


def test_an_interrupt_closes_them_as_cancelled(log, tracker):
    with pytest.raises(KeyboardInterrupt):
        run_until(KeyboardInterrupt(), log)
    assert next(invocations()).state == "CANCELLED"
    assert tracker.calls[-1] == ("interrupt",)


def test_a_tracker_that_does_not_start_leaves_a_failed_record(log, monkeypatch):
    def refuse(name, invocation):
        raise OSError("no spool")

    monkeypatch.setattr(invocation, "Tracker", refuse)
    with pytest.raises(OSError, match="no spool"):
        run_until(AssertionError(), log)
    assert next(invocations()).state == "FAILED"


@pytest.mark.parametrize(
    ("failures", "status", "state", "message"),
    [
        ([], "FINISHED", "Completed", "3 done, 1 cached"),
        (["train[x]: NaN"], "FAILED", "Failed", "0 of 4 failed: train[x]: NaN"),
    ],
)
def test_an_invocation_ends_with_its_counts(log, failures, status, state, message):
    counts = {"done": 3, "cached": 1, "failed": 0, "skipped": 0}
    display, tracker = SimpleNamespace(counts=counts), Recorder()
    tracker.parent_id = "abc"
    graph = SimpleNamespace(session=SimpleNamespace(display=display), futures=dict.fromkeys("abcd"))
    ended = _close(graph, log, tracker, failures)
    assert (ended.name, ended.message) == (state, message)
    ((_, logged, metrics, tags),) = tracker.calls
    assert (logged, metrics["tasks_done"]) == (status, 3)
    assert tags == {"study.failures": message if failures else ""}
    assert next(invocations()).mlflow_run_id == "abc"
    assert (next(invocations()).state, next(invocations()).message) == (
        "FAILED" if failures else "COMPLETED",
        message,
    )
