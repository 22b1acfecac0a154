"""What a process that died leaves open: runs in MLflow and Prefect, and its own Prefect server."""

import atexit
import subprocess
import sys
from contextlib import suppress
from functools import cache
from uuid import UUID

import psutil
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Crashed, State

from tasks.invocations import Invocation, close, unclosed
from tasks.tracking.client import TrackingError, close_open_runs, connect

SERVER_APPLICATION = "prefect.server.api.server:create_app"
# Reading ends when the other end of the pipe is closed, which no process can prevent by dying.
WAIT_AND_KILL = "import os, sys; sys.stdin.read(); os.kill(int(sys.argv[1]), 9)"
OPEN_STATES = [StateType.RUNNING, StateType.PENDING, StateType.SCHEDULED]


def guard_server() -> None:
    """Have the Prefect server that this process started end with it, even after a kill -9."""
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if any(SERVER_APPLICATION in part for part in child.cmdline()):
                _guard(child.pid)


@cache
def _guard(server: int) -> None:
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", WAIT_AND_KILL, str(server)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    atexit.register(guard.kill)


def close_crashed_invocations() -> None:
    """Mark the runs of processes that died as KILLED in MLflow and Crashed in Prefect.

    What cannot be reached now is tried again at the next start. Call it inside a flow run.
    """
    found_open = list(unclosed())
    # a flow run that is retried belongs to a living process
    living = {found.flow_run_id for found in found_open if found.state == "RUNNING"}
    for found in found_open:
        if found.left_open:
            with suppress(TrackingError):
                close_open_runs(connect(), found.id)
                if found.flow_run_id not in {*living, flow_run.id}:
                    with get_client(sync_client=True) as client:
                        _mark_crashed(client, found)
                close(found)


def _mark_crashed(client: SyncPrefectClient, found: Invocation) -> None:
    if found.flow_run_id is None:
        return
    identifier = UUID(found.flow_run_id)
    state: State = Crashed(message="its process ended without a word")
    with suppress(ObjectNotFound):
        known = client.read_flow_run(identifier).state
        if known is None or known.type not in OPEN_STATES:
            return
        client.set_flow_run_state(identifier, state, force=True)
        open_tasks = client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[identifier])),
            task_run_filter=TaskRunFilter(
                state=TaskRunFilterState(type=TaskRunFilterStateType(any_=OPEN_STATES))
            ),
        )
        for task_run in open_tasks:
            client.set_task_run_state(task_run.id, state, force=True)
