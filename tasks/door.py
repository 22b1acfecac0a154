"""The door between Prefect and a step: store, worker process, checkpoints, MLflow.

The store is the cache: a task whose entry is there, verified, ends as ``Cached``. Prefect keeps no
result of its own, so there is no second copy that could be damaged or out of date.
"""

import errno
import sqlite3
import time
from functools import cache
from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.runtime import task_run
from prefect.states import Completed
from prefect.tasks import exponential_backoff

from tasks import checkpoints, store
from tasks.failpoints import fail_point, kill_point
from tasks.provenance import provenance
from tasks.run_plan import RunPlan
from tasks.session import current_session
from tasks.step import Step, compute_exactly, leaves
from tasks.store import Entry
from tasks.tracking import TrackingError
from tasks.workers import WorkerDiedError

RETRIES = 3  # after 1, 2 and 4 seconds
LASTING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}


def transient(error: BaseException) -> bool:
    """Whether trying again may help: input and output, a locked database, a lost connection."""
    if isinstance(error, OSError):
        return error.errno not in LASTING
    return isinstance(error, sqlite3.OperationalError | TrackingError)


def _worth_retrying(task: Task[Any, Any], run: TaskRun, state: State[Any]) -> bool:
    error = state.result(raise_on_failure=False)
    return isinstance(error, BaseException) and transient(error)


@cache
def as_task(step: Step) -> Task[Any, Entry]:
    """The Prefect task of a step. The flow names each run, and the name is told to the user."""

    def door(*arguments: Any, **named: Any) -> Any:
        inputs = step.signature.bind(*arguments, **named).arguments
        entry, cached = perform(step, task_run.name, inputs)
        return Completed(name="Cached", message="in the store", data=entry) if cached else entry

    door.__signature__ = step.signature  # type: ignore[attr-defined]
    door.__name__ = door.__qualname__ = step.name
    door.__doc__ = step.compute.__doc__
    door.__module__ = step.compute.__module__
    return Task(
        door,
        name=step.name,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=RETRIES,
        retry_delay_seconds=exponential_backoff(1),
        retry_condition_fn=_worth_retrying,
    )


def perform(step: Step, name: str, inputs: dict[str, Any]) -> tuple[Entry, bool]:
    """The entry of a step for these inputs, and whether it was in the store already.

    A finished key is never computed again, in whichever run or study it turns up, unless this
    invocation was told to; a lock keeps other processes from computing it at the same time.
    """
    session = current_session()
    key = step.key(inputs)
    run = RunPlan.of(step, key, name, inputs)
    session.performed[key] = (step, name, inputs)
    session.log.task(name, task=step.name, key=key)
    with store.locked(step.name, key):
        forced = name in session.forced
        entry = None if forced else store.load(step.name, key)
        if entry is not None or forced:
            checkpoints.remove(step.name, key)  # of a computation that is over
        if entry is None:
            if session.workers.stopped:
                raise WorkerDiedError("the run was stopped")
            session.display.begin(name)
            fail_point(name)
            _restore_upstream(inputs)
            entry = _compute(step, key, name, inputs, run)
            session.forced.discard(name)
            session.computed.add(name)
            kill_point(name, "published")
        if run is not None:
            session.tracker.log_entry(run, entry)
    return entry, name not in session.computed


def _restore_upstream(inputs: dict[str, Any]) -> None:
    """Compute again what was deleted or damaged since this invocation saw it."""
    for entry in leaves(inputs):
        if isinstance(entry, Entry) and store.inspect(entry.task, entry.key)[0] is None:
            perform(*current_session().performed[entry.key])


def _compute(step: Step, key: str, name: str, inputs: dict[str, Any], run: RunPlan | None) -> Entry:
    """Compute in a worker and publish the outcome; an MLflow run that fails is closed as failed."""
    session = current_session()

    def on_event(event: dict[str, Any]) -> None:
        session.display.epoch(name, event)
        if run is not None:
            session.tracker.log_epoch(run, event)
        kill_point(name, f"epoch={event['epoch']}")

    if run is not None:
        session.tracker.begin(run)
    arguments = dict(inputs)
    if step.resumable:
        arguments["checkpoints"] = checkpoints.verified_folder(step.name, key)
    started = time.monotonic()
    try:
        with store.workspace(step.name, key) as folder:
            arguments["folder"] = folder
            task = {"compute": step.compute, "code": step.code, "arguments": arguments}
            result = session.workers.run(compute_exactly, task, on_event)
            entry = Entry(
                task=step.name,
                key=key,
                name=name,
                inputs=step.recorded(inputs),
                code=step.code,
                result=result,
                files=store.files_in(folder),
                seconds=time.monotonic() - started,
                provenance=provenance(),
            )
            kill_point(name, "publish")
            store.publish(folder, entry)
            checkpoints.remove(step.name, key)
            return entry
    except BaseException:
        if run is not None:
            session.tracker.fail(run, "KILLED" if session.workers.stopped else "FAILED")
        raise
