"""Ctrl-C, SIGTERM and SIGHUP: stop at once, close all runs, exit.

The exit status is 128 + the number of the signal. It is 0 for a run of a deployment whose records
are closed: Prefect's runner would mark it as Crashed otherwise.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil

from tasks.system.user_warnings import say

CLOSE_SECONDS = 3.5  # for closing the runs; the next start closes those that are left
CLOSE_TASKS_SECONDS = 1.0  # for closing Prefect's task runs after that
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def handle_signals(handler: Callable[[int, object], object]) -> None:
    """From now on this handles the signals that end a process, but not SIGHUP under nohup."""
    for number in SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def stop_on_signals() -> None:
    """From now on a signal ends the study within seconds. Finished tasks are kept."""
    handle_signals(_stop)


def restore_signals() -> None:
    """From now on signals have their default effect again."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in SIGNALS:
        if signal.getsignal(number) is _stop:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """While it is open, signals end the study, and not as Prefect would end it: as Crashed.

    Does nothing outside the main thread, which gets no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    stop_on_signals()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_signals() -> None:
    """From now on no signal interrupts what closes the runs."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _stop(number: int, _: object) -> None:
    ignore_signals()  # as a second Ctrl-C
    code = 128 + number
    watchdog = _exit_after(CLOSE_SECONDS, code)
    try:
        if _close_runs():
            code = 0
        watchdog.cancel()
        _exit_after(CLOSE_TASKS_SECONDS, code)
        _close_task_runs()
    finally:
        _exit(code)


def _exit_after(seconds: float, code: int) -> threading.Timer:
    watchdog = threading.Timer(seconds, _exit, [code])
    watchdog.daemon = True
    watchdog.start()
    return watchdog


def _exit(code: int) -> None:
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()
    say("study: interrupted; the same command continues from what is finished", error=True)
    os._exit(code)


def _close_runs() -> bool:
    """Stop the workers; close their runs as killed in MLflow and cancelled in Prefect.

    Returns whether they were runs of a deployment.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.objects import State
    from prefect.context import FlowRunContext
    from prefect.states import Cancelled

    from tasks.execution import session

    current = session.stop_workers()
    closing_mlflow = None
    if current is not None:
        current.display.stop()
        current.log.note(state="CANCELLED", message="interrupted")
        # either of the two servers may not answer
        closing_mlflow = threading.Thread(target=current.tracker.interrupt, daemon=True)
        closing_mlflow.start()
    context = FlowRunContext.get()
    flow_run = context.flow_run if context is not None else None
    if flow_run is not None:
        with get_client(sync_client=True) as client:
            state: State = Cancelled(message="interrupted")
            client.set_flow_run_state(flow_run.id, state, force=True)
    if closing_mlflow is not None:
        closing_mlflow.join()
    if current is not None:  # last: a record without an end is closed at the next start
        current.log.end("CANCELLED", "interrupted")
    return flow_run is not None and flow_run.deployment_id is not None


def _close_task_runs() -> None:
    """Close what Prefect's page shows as running, and send what the run has logged."""
    from prefect.client.orchestration import get_client
    from prefect.context import FlowRunContext
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker
    from prefect.states import Cancelled

    from flows.lifecycle.recovery import close_task_runs

    context = FlowRunContext.get()
    if context is not None and context.flow_run is not None:
        for worker in (EventsWorker, APILogWorker):  # task runs reach the server as events
            worker.drain_all(timeout=CLOSE_TASKS_SECONDS / 3)
        with get_client(sync_client=True) as client:
            for _ in range(3):  # the server records them some time after it received them
                close_task_runs(client, context.flow_run.id, Cancelled(message="interrupted"))
                time.sleep(0.1)
