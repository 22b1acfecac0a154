"""How an invocation begins and ends, without tasks."""

import errno
from types import SimpleNamespace

import pytest

from flows import study
from flows.configuration.load import load_config
from flows.configuration.study_config import SECTIONS
from flows.study import SECTION_FLOWS, _close, _parent_run, _submit
from tasks.execution.invocations import InvocationLog, invocations
from tasks.system.disk_errors import DiskError
from tests.tasks.execution.sessions import Recorder

CONFIG = load_config("smoke")


@pytest.fixture
def tracker(monkeypatch):
    found = Recorder()
    monkeypatch.setattr(study, "Tracker", lambda name, invocation: found)
    return found


@pytest.fixture
def log():
    return InvocationLog("smoke", {}, [])


def run_until(error, log):
    with _parent_run(log, CONFIG, ("theory",)):
        raise error


def test_the_parent_run_has_the_settings_and_stays_open(log, tracker):
    with _parent_run(log, CONFIG, ("theory",)) as opened:
        assert opened is tracker
    ((method, parameters),) = tracker.calls
    assert method == "start_study"
    assert (parameters["name"], parameters["sections"]) == ("smoke", ["theory"])
    assert "runner" not in parameters
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

    monkeypatch.setattr(study, "Tracker", refuse)
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
    graph = SimpleNamespace(session=SimpleNamespace(display=display), futures=dict.fromkeys("abcd"))
    ended = _close(graph, log, tracker, failures)
    assert (ended.name, ended.message) == (state, message)
    ((_, logged, metrics, tags),) = tracker.calls
    assert (logged, metrics["tasks_done"]) == (status, 3)
    assert tags == {"study.failures": message if failures else ""}
    assert (next(invocations()).state, next(invocations()).message) == (
        "FAILED" if failures else "COMPLETED",
        message,
    )


def test_an_error_while_submitting_lets_waiting_tasks_end(monkeypatch):
    def refuse(*_):
        raise ValueError("no dataset")

    monkeypatch.setattr(study, "submit_sections", refuse)
    stacks = Recorder()
    session = SimpleNamespace(stacks=stacks, display=Recorder())  # a single seed is noted
    graph = SimpleNamespace(session=session)
    with pytest.raises(ValueError, match="no dataset"):
        _submit(graph, CONFIG, SECTIONS)
    assert stacks.calls == [("mark_all_submitted",)]


def test_every_section_has_a_flow_of_its_name():
    assert list(SECTION_FLOWS) == list(SECTIONS)
    names = [flow.name for flow in SECTION_FLOWS.values()]
    assert names == [section.replace("_", "-") for section in SECTIONS]
