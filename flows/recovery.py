"""What a process that died left open: runs in MLflow and Prefect, and its own Prefect server."""

from contextlib import suppress
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
from prefect.states import Crashed, State

from tasks.invocations import Invocation, close_crashed, invocations
from tasks.tracking import TrackingError, close_open_runs, connect

SERVER_APPLICATION = "prefect.server.api.server:create_app"
OPEN_STATES = [StateType.RUNNING, StateType.PENDING, StateType.SCHEDULED]
LOOKED_AT = 100  # latest invocations


def own_server() -> tuple[int, float] | None:
    """Process id and start time of the Prefect server that this process started, if it did."""
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if any(SERVER_APPLICATION in part for part in child.cmdline()):
                return child.pid, child.create_time()
    return None


def close_crashed_invocations() -> None:
    """Mark what died as KILLED in MLflow and Crashed in Prefect, and stop the server it left.

    What cannot be reached now is tried again at the next start. Call it inside a flow run.
    """
    for found, _ in zip(invocations(), range(LOOKED_AT), strict=False):
        if found.state == "CRASHED" and found.ended is None:
            _stop_server(found)
            with suppress(TrackingError):
                if found.mlflow_run_id:
                    close_open_runs(connect(), found.mlflow_run_id)
                with get_client(sync_client=True) as client:
                    _mark_crashed(client, found)
                close_crashed(found)


def _stop_server(found: Invocation) -> None:
    if found.server is not None:
        identifier, started = found.server
        with suppress(psutil.Error):
            process = psutil.Process(identifier)
            if process.create_time() == started:
                process.kill()


def _mark_crashed(client: SyncPrefectClient, found: Invocation) -> None:
    if found.flow_run_id is None:
        return
    identifier = UUID(found.flow_run_id)
    state: State = Crashed(message="its process ended without a word")
    with suppress(ObjectNotFound):
        flow_run = client.read_flow_run(identifier)
        # a flow run that was retried meanwhile belongs to a living process
        if flow_run.state is None or flow_run.state.type not in OPEN_STATES:
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
