"""Closes the runs in MLflow and Prefect of processes that died."""

from contextlib import suppress
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Crashed

from tasks.execution.invocations import DIED, Invocation, close_invocation, open_invocations
from tasks.tracking.sync import mark_dead

OPEN_STATES = [StateType.RUNNING, StateType.PENDING, StateType.SCHEDULED]


def close_crashed_invocations() -> None:
    """Mark the runs of processes that died: as Crashed in Prefect, as KILLED in MLflow.

    The next tracker does it in MLflow. In Prefect, the flow run that calls this is not marked.
    """
    invocations = list(open_invocations())
    # a retry has the same flow run as the attempt that died
    running = {found.flow_run_id for found in invocations if found.state == "RUNNING"}
    for found in invocations:
        if found.needs_closing:
            mark_dead(found.id)
            if found.flow_run_id not in {*running, flow_run.id}:
                with get_client(sync_client=True) as client:
                    _mark_crashed(client, found)
            close_invocation(found)


def _mark_crashed(client: SyncPrefectClient, found: Invocation) -> None:
    try:
        identifier = UUID(found.flow_run_id)
    except (TypeError, ValueError):  # it has none, or its record is damaged
        return
    state: State = Crashed(message=DIED)
    with suppress(ObjectNotFound):
        known = client.read_flow_run(identifier).state
        if known is None or known.type not in OPEN_STATES:
            return
        client.set_flow_run_state(identifier, state, force=True)
        close_task_runs(client, identifier, state)


def close_task_runs(client: SyncPrefectClient, flow_run_id: UUID, state: State) -> None:
    """Give this state to every task run of a flow run that has not ended."""
    open_tasks = client.read_task_runs(
        flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id])),
        task_run_filter=TaskRunFilter(
            state=TaskRunFilterState(type=TaskRunFilterStateType(any_=OPEN_STATES))
        ),
    )
    for task_run in open_tasks:
        client.set_task_run_state(task_run.id, state, force=True)
