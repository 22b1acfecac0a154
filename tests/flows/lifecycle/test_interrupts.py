import signal
import subprocess
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import psutil
import pytest

from flows.lifecycle import interrupts
from tests.tasks.execution.sessions import Recorder

# A study that is interrupted while it closes its runs, with a child process that would stay.
STUDY = """
import signal, subprocess, sys, time
from flows.lifecycle import interrupts
interrupts.CLOSE_SECONDS = interrupts.CLOSE_TASKS_SECONDS = {seconds}
interrupts._close_runs = lambda: {close}
interrupts._close_task_runs = lambda: {close_tasks}
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup may have it ignored
interrupts.stop_on_signals()
print(child.pid, flush=True)
time.sleep(60)
"""


INTERRUPT_AGAIN = "[signal.raise_signal(one) for one in interrupts.SIGNALS] and False"


@pytest.mark.parametrize(
    ("number", "seconds", "close", "close_tasks", "code"),
    [
        (signal.SIGINT, 30, "False", "None", 130),
        (signal.SIGHUP, 30, "False", "None", 129),
        (signal.SIGTERM, 30, "True", "None", 0),
        (signal.SIGTERM, 30, "1 / 0", "None", 143),
        (signal.SIGTERM, 0.05, "time.sleep(60)", "None", 143),
        (signal.SIGTERM, 0.05, "True", "time.sleep(60)", 0),
        (signal.SIGINT, 30, INTERRUPT_AGAIN, "None", 130),
    ],
    ids=[
        "closed",
        "the terminal is closed",
        "a run of a deployment",
        "closing fails",
        "closing takes too long",
        "closing the tasks takes too long",
        "a second Ctrl-C",
    ],
)
def test_a_signal_ends_the_study_and_its_children(number, seconds, close, close_tasks, code):
    text = STUDY.format(seconds=seconds, close=close, close_tasks=close_tasks)
    process = subprocess.Popen(
        [sys.executable, "-c", text],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    child = psutil.Process(int(process.stdout.readline()))
    process.send_signal(number)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == code
    assert errors == "study: interrupted; the same command continues from what is finished\n"
    assert psutil.wait_procs([child], timeout=5)[1] == []


def test_when_the_work_is_over_signals_do_the_usual():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    try:
        interrupts.stop_on_signals()
        assert signal.getsignal(signal.SIGTERM) is interrupts._stop
        interrupts.restore_signals()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


def test_while_a_flow_runs_signals_stop_the_study():
    before = [signal.getsignal(number) for number in interrupts.SIGNALS]
    with interrupts.stopped_by_signals():
        assert signal.getsignal(signal.SIGTERM) is interrupts._stop
    assert [signal.getsignal(number) for number in interrupts.SIGNALS] == before


def test_a_study_under_nohup_goes_on_when_the_terminal_is_closed():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupts.stopped_by_signals():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.fixture
def running(monkeypatch):
    """A running session and flow run whose calls are recorded in one list."""
    calls = Recorder()
    session = SimpleNamespace(
        display=SimpleNamespace(stop=calls.stop_display),
        log=SimpleNamespace(note=calls.note, end=calls.end),
        tracker=SimpleNamespace(interrupt=calls.interrupt_tracker),
    )
    flow_run = SimpleNamespace(id="flow-run", deployment_id=None)
    context = SimpleNamespace(flow_run=flow_run)

    @contextmanager
    def client(sync_client):
        yield SimpleNamespace(set_flow_run_state=calls.set_flow_run_state)

    def stop_workers():
        calls.stop_workers()
        return session

    monkeypatch.setattr("tasks.execution.session.stop_workers", stop_workers)
    monkeypatch.setattr("prefect.client.orchestration.get_client", client)
    monkeypatch.setattr("prefect.context.FlowRunContext.get", lambda: context)
    return calls


def test_runs_are_closed_in_an_order_that_an_early_end_can_be_recovered_from(running):
    assert interrupts._close_runs() is False
    called = [method for method, *_ in running.calls]
    assert called[:3] == ["stop_workers", "stop_display", "note"]
    assert set(called[3:-1]) == {"interrupt_tracker", "set_flow_run_state"}  # side by side
    assert called[-1] == "end"
    ((flow_run, state, force),) = running.to("set_flow_run_state")
    assert (flow_run, state.type, force) == ("flow-run", "CANCELLED", True)
    assert running.to("note") == [["CANCELLED", "interrupted"]]
    assert running.to("end") == [["CANCELLED", "interrupted"]]


def test_before_a_session_there_is_nothing_to_close(running, monkeypatch):
    monkeypatch.setattr("tasks.execution.session.stop_workers", lambda: None)
    monkeypatch.setattr("prefect.context.FlowRunContext.get", lambda: None)
    interrupts._close_runs()
    assert running.calls == []
