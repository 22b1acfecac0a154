"""Closes the runs in MLflow and Prefect of processes that died."""

from contextlib import suppress
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType, TaskRun
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Crashed, Failed

from tasks.execution.invocations import (
    DIED,
    Invocation,
    close_invocation,
    open_invocations,
    records,
)
from tasks.tracking.sync import mark_dead

OPEN_STATES = [StateType.RUNNING, StateType.PENDING, StateType.SCHEDULED]
OPEN_FLOW_RUNS = FlowRunFilter(
    state=FlowRunFilterState(
        type=FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING])
    )
)
OPEN_TASK_RUNS = TaskRunFilter(
    state=TaskRunFilterState(type=TaskRunFilterStateType(any_=OPEN_STATES))
)
CLOSED = {"COMPLETED": Completed, "FAILED": Failed, "CANCELLED": Cancelled, "CRASHED": Crashed}
CLOSED_TASKS = {"done": Completed, "cached": Completed, "failed": Failed}


def close_crashed_invocations() -> None:
    """Mark the runs of processes that died: as Crashed in Prefect, as KILLED in MLflow.

    The next tracker does it in MLflow. In Prefect, the flow run that calls this is not marked.
    """
    unclosed = list(open_invocations())
    # a retry has the same flow run as the attempt that died
    running = {found.flow_run_id for found in unclosed if found.state == "RUNNING"}
    for found in unclosed:
        if found.needs_closing:
            mark_dead(found.id)
            if found.flow_run_id not in {*running, flow_run.id}:
                with get_client(sync_client=True) as client:
                    _mark_crashed(client, found)
            close_invocation(found)


def close_forgotten_runs() -> None:
    """End the flow and task runs in Prefect whose invocation has ended in this STUDY_HOME.

    Prefect was not told, or could not record it: its disk was full, its database locked, or its
    server ended first.
    """
    with get_client(sync_client=True) as client:
        flow_runs = client.read_flow_runs(flow_run_filter=OPEN_FLOW_RUNS)
        task_runs = client.read_task_runs(task_run_filter=OPEN_TASK_RUNS)
        if not any(str(one.id) != flow_run.id for one in flow_runs) and not task_runs:
            return
        newest_first = [found for found in records() if isinstance(found, Invocation)]
        known = {found.flow_run_id: found for found in reversed(newest_first)}
        for one in flow_runs:
            found = known.get(str(one.id))
            if found is not None and _was_before_the_end(one, found):
                state: State = CLOSED[found.state](message=found.message)
                client.set_flow_run_state(one.id, state, force=True)
        for task in task_runs:
            found = known.get(str(task.flow_run_id))
            if found is not None and _was_before_the_end(task, found):
                outcome = found.tasks[task.name].outcome if task.name in found.tasks else ""
                state = CLOSED_TASKS.get(outcome, Cancelled)()
                client.set_task_run_state(task.id, state, force=True)


def _was_before_the_end(run: FlowRun | TaskRun, found: Invocation) -> bool:
    """Whether a run got its state before the invocation ended; a retry gets it after."""
    return (
        found.ended is not None
        and run.state is not None
        and run.state.timestamp.timestamp() < found.ended
    )


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
        task_run_filter=OPEN_TASK_RUNS,
    )
    for task_run in open_tasks:
        client.set_task_run_state(task_run.id, state, force=True)
