"""Tasks on Prefect's threads, without a server."""

import errno
import os
import time
import warnings
from concurrent.futures import Future

import pytest
from prefect.states import Completed, Failed, Pending
from prefect.task_runners import ThreadPoolTaskRunner

from flows.lifecycle.task_runners import Runners
from flows.prefect_graph import RECORD_SECONDS, PrefectGraph, final_state, reason
from models.training.loop import DivergedError
from tasks.cache.step import Step
from tasks.execution.session import task_session
from tasks.steps.report import report
from tasks.system.disk_errors import DiskError
from tests.prefect_offline import prefect_offline
from tests.tasks.execution.sessions import recorded_session


def number(folder, value):
    return {"value": value}


def add(folder, summands):
    return {"value": sum(entry.result["value"] for entry in summands)}


def diverge(folder, upstream):
    raise DivergedError("the loss is NaN at epoch 3")


number_step, add_step, diverge_step = Step(number, "number"), Step(add, "add"), Step(diverge, "bad")


@pytest.fixture
def session():
    return recorded_session()


@pytest.fixture
def graph(session):
    with prefect_offline(), task_session(session), ThreadPoolTaskRunner(max_workers=2) as runner:
        yield PrefectGraph(session, Runners(runner, runner), report)


def test_tasks_get_the_entries_of_those_before_them(graph, session):
    numbers = [graph.submit(number_step, {"n": n}, value=n) for n in (1, 2)]
    graph.submit(add_step, {"subject": "all"}, group="sums", summands=numbers)
    groups, failures = graph.wait_for_entries()
    assert failures == []
    assert [entry.result["value"] for entry in groups["number"]] == [1, 2]
    assert [entry.result["value"] for entry in groups["sums"]] == [3]
    assert session.computed == {"number[n=1]", "number[n=2]", "add[all]"}
    ends = {name: outcome for name, outcome, _ in session.display.to("end")}
    assert ends == dict.fromkeys(session.computed, "done")
    assert session.display.to("set_total")[-1] == [4]  # the report comes last


def test_a_failure_affects_only_downstream_tasks(graph, session):
    first = graph.submit(number_step, {"n": 1}, value=1)
    bad = graph.submit(diverge_step, {"subject": "x"}, upstream=first)
    graph.submit(add_step, {"subject": "x"}, summands=[bad])
    graph.submit(number_step, {"n": 2}, value=2)
    groups, failures = graph.wait_for_entries()
    assert failures == [
        "bad[x]: the loss is NaN at epoch 3",
        "1 tasks that depend on them did not run",
    ]
    assert [len(groups[name]) for name in ("number", "bad", "add")] == [2, 0, 0]
    recorded = {call[0]: call[1:] for call in session.log.to("task") if len(call) == 3}
    assert recorded["bad[x]"] == ["failed", "the loss is NaN at epoch 3"]
    assert recorded["add[x]"] == ["skipped", "bad[x] did not complete"]
    assert list(graph.skipped.values()) == [("add[x]", "bad[x] did not complete")]


def test_what_is_in_the_store_is_cached(graph, session):
    graph.submit(number_step, {"n": 1}, value=1)
    graph.wait_until_recorded()
    session.computed.clear()
    graph.submit(number_step, {"n": 1}, value=1)
    graph.wait_until_recorded()
    assert [outcome for _, outcome, _ in session.display.to("end")] == ["done", "cached"]
    assert session.computed == set()


def test_a_task_that_an_interrupt_stopped_is_not_recorded_as_failed(graph, session):
    session.workers.stop()
    graph.submit(number_step, {"n": 1}, value=1)
    _, failures = graph.wait_for_entries()
    assert failures == ["number[n=1]: interrupted"]
    assert not [call for call in session.log.to("task") if "failed" in call]


@pytest.fixture
def refuse_ends(session, monkeypatch):
    """Lets the record of the end of every task fail with this error number."""

    def refuse(number):
        def record(name, **fields):
            if "outcome" in fields:
                raise OSError(number, os.strerror(number))

        monkeypatch.setattr(session.log, "task", record, raising=False)

    return refuse


def test_what_cannot_be_recorded_is_said_once_and_delays_nothing(graph, session, refuse_ends):
    refuse_ends(errno.EACCES)
    started = time.monotonic()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for n in range(5):
            graph.submit(number_step, {"n": n}, value=n)
        groups, failures = graph.wait_for_entries()
    assert time.monotonic() - started < RECORD_SECONDS
    (line,) = [str(one.message) for one in said]
    assert "its end is not in the record (PermissionError: [Errno 13] Permission denied)" in line
    assert [outcome for _, outcome, _ in session.display.to("end")] == ["done"] * 5
    assert (len(groups["number"]), failures) == (5, [])


def test_a_disk_that_is_full_for_the_record_stops_everything_at_once(graph, session, refuse_ends):
    refuse_ends(errno.ENOSPC)
    started = time.monotonic()
    for n in range(5):
        graph.submit(number_step, {"n": n}, value=n)
    with pytest.raises(DiskError, match="its disk is full"):
        graph.wait_for_entries()
    assert time.monotonic() - started < RECORD_SECONDS
    assert session.workers.stopped
    assert len(session.display.to("end")) == 5


def full(folder):
    raise OSError(errno.ENOSPC, "no space")


def test_a_task_that_fills_the_disk_stops_the_others(graph, session):
    bad = graph.submit(Step(full, "full"), {"subject": "x"})
    graph.submit(add_step, {"subject": "x"}, summands=[bad])
    bad.wait()
    while not session.workers.stopped:
        time.sleep(0.01)
    graph.submit(number_step, {"n": 1}, value=1)
    with pytest.raises(DiskError, match="its disk is full"):
        graph.wait_for_entries()
    ends = {name: outcome for name, outcome, _ in session.display.to("end")}
    assert ends == {"full[x]": "failed", "add[x]": "skipped", "number[n=1]": "skipped"}


class LostFuture:
    """A future whose worker ended with this error and reported no state."""

    state = Pending()

    def __init__(self, error):
        self.wrapped_future = Future()
        self.wrapped_future.set_exception(error)

    def wait(self):
        pass


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("lost"), "no worker reported how it ended: lost"),
        (ModuleNotFoundError("No module named 'tasks'"), "install latent-study there"),
    ],
)
def test_a_task_without_a_final_state_has_crashed(error, words):
    state = final_state(LostFuture(error))
    assert state.is_crashed()
    assert words in reason(state)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (Failed(message="Task run encountered an exception DivergedError: NaN at 3"), "NaN at 3"),
        (Failed(message="Task run encountered an exception: OSError: disk"), "OSError: disk"),
        (Failed(message="first line\nsecond line"), "first line"),
        (Completed(), "Completed"),
    ],
)
def test_a_reason_is_one_line_without_what_users_know(state, expected):
    assert reason(state) == expected
