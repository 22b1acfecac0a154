"""Ctrl-C and SIGTERM: stop at once, close all runs, exit with 128 + the number of the signal."""

import os
import signal
import threading

import psutil

from tasks.system.user_warnings import say

CLOSE_SECONDS = 3.5  # for closing the runs; the next start closes those that are left


def stop_on_signals() -> None:
    """From now on a signal ends the study within seconds. Finished tasks are kept."""
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)


def restore_signals() -> None:
    """From now on signals have their default effect again."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _stop(number: int, _: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not interrupt this
    watchdog = threading.Timer(CLOSE_SECONDS, _exit, [number])
    watchdog.daemon = True
    watchdog.start()
    try:
        _close_runs()
    finally:
        _exit(number)


def _exit(number: int) -> None:
    for child in psutil.Process().children(recursive=True):
        child.kill()
    say("study: interrupted; the same command continues from what is finished", error=True)
    os._exit(128 + number)


def _close_runs() -> None:
    """Stop the workers; close their runs as killed in MLflow and cancelled in Prefect."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.objects import State
    from prefect.context import FlowRunContext
    from prefect.states import Cancelled

    from tasks.execution import session

    current = session.stop_workers()
    if current is not None:
        current.display.stop()
        current.log.note(state="CANCELLED", message="interrupted")
        current.tracker.interrupt()
    context = FlowRunContext.get()
    if context is not None and context.flow_run is not None:
        with get_client(sync_client=True) as client:
            state: State = Cancelled(message="interrupted")
            client.set_flow_run_state(context.flow_run.id, state, force=True)
    if current is not None:  # last: a record without an end is closed at the next start
        current.log.end("CANCELLED", "interrupted")
