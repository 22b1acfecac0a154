"""Scheduled runs that are due while another run of their deployment is in progress."""

from datetime import UTC, datetime
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import State, StateType
from prefect.runtime import deployment
from prefect.states import Cancelled

from flows.lifecycle.run_page import only_warns

WAITING = {"Scheduled", "Late", "AwaitingConcurrencySlot"}  # names of states; not of a retry


def cancel_due_runs() -> None:
    """Cancel the scheduled runs of this deployment that are due: this run is instead of them.

    Runs that somebody started wait for their turn; Prefect lets only one run at a time. Does
    nothing in a run that is not of a deployment.
    """
    identifier = deployment.id
    if identifier is None:
        return
    due = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[UUID(identifier)]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
        expected_start_time=FlowRunFilterExpectedStartTime(before_=datetime.now(UTC)),
    )
    state: State = Cancelled(message="another run of this study was in progress or had waited, too")
    with only_warns(), get_client(sync_client=True) as client:
        for run in client.read_flow_runs(flow_run_filter=due):
            if run.auto_scheduled and run.run_count == 0 and run.state_name in WAITING:
                client.set_flow_run_state(run.id, state, force=True)
