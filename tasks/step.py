"""The door between Prefect and a plain function: key, cache, worker process, store, MLflow.

``step(compute, ...)`` makes a Prefect task of ``compute(folder, **inputs) -> result``, which writes
files into ``folder`` and returns JSON data. Its key is the digest of the task's name, its inputs
(an upstream entry counts by its content) and the code it reaches. A finished key is never computed
again, in whichever run or study it turns up.
"""

import inspect
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect import Task
from prefect.context import TaskRunContext
from prefect.runtime import task_run
from prefect.settings import get_current_settings

from tasks import store
from tasks.canonical import digest
from tasks.code_digest import code_digest
from tasks.home import study_home
from tasks.provenance import provenance
from tasks.session import current_session
from tasks.store import Entry
from tasks.tracking import RunPlan

Compute = Callable[..., dict[str, Any]]


class FailpointError(RuntimeError):
    """Raised on request by ``STUDY_FAILPOINT``, a hook for tests."""


def key_of(task_name: str, compute: Compute, inputs: dict[str, Any]) -> str:
    """The key of a computation, in hex."""
    return digest([task_name, inputs, code_digest(compute)])


def step(
    compute: Compute,
    task_name: str,
    *,
    kind: str | None = None,
    logs_to: str | None = None,
) -> Task[Any, Entry]:
    """A cached Prefect task around ``compute``.

    The flow names each run. ``kind`` gives every entry an MLflow run of its own
    with that tag; ``logs_to`` names the input whose run receives the entry's metrics and pictures.
    """

    def cache_key(context: TaskRunContext, inputs: dict[str, Any]) -> str:
        key = key_of(task_name, compute, inputs)
        run = RunPlan.of(kind, logs_to, key, "", inputs)
        shown = run is None or current_session().tracker.shows(run, task_name, key)
        # Prefect's record counts only with its files, and with its run in MLflow.
        if store.load(task_name, key) is None or not shown:
            (Path(get_current_settings().results.local_storage_path) / key).unlink(missing_ok=True)
        return key

    signature = inspect.signature(compute)
    signature = signature.replace(parameters=list(signature.parameters.values())[1:])

    def door(*arguments: Any, **named: Any) -> Entry:
        inputs = signature.bind(*arguments, **named).arguments
        session = current_session()
        key = key_of(task_name, compute, inputs)
        name = task_run.name
        run = RunPlan.of(kind, logs_to, key, name, inputs)
        with store.locked(task_name, key):
            entry = store.load(task_name, key)
            if entry is None:
                session.display.begin(name)
                _failpoint(name)
                entry = _compute(compute, task_name, key, name, inputs, run)
        if run is not None:
            session.tracker.log_entry(run, entry)
        return entry

    door.__signature__ = signature  # type: ignore[attr-defined]
    door.__name__ = door.__qualname__ = task_name
    door.__doc__ = compute.__doc__
    door.__module__ = compute.__module__
    return Task(
        door,
        name=task_name,
        cache_key_fn=cache_key,
        persist_result=True,
        result_serializer="json",
    )


def _compute(
    compute: Compute,
    task_name: str,
    key: str,
    name: str,
    inputs: dict[str, Any],
    run: RunPlan | None,
) -> Entry:
    """Compute in a worker, publish the outcome; an MLflow run that fails is closed as failed."""
    session = current_session()

    def on_event(event: dict[str, Any]) -> None:
        session.display.epoch(name, event)
        if run is not None:
            session.tracker.log_epoch(run, event)
        _kill_point(name, event["epoch"])

    if run is not None:
        session.tracker.open(run)
    started = time.monotonic()
    try:
        with store.workspace(task_name, key) as folder:
            result = session.workers.run(compute, {"folder": folder, **inputs}, on_event)
            entry = Entry(
                task=task_name,
                key=key,
                name=name,
                result=result,
                files=store.files_in(folder),
                seconds=time.monotonic() - started,
                provenance=provenance(),
            )
            store.publish(folder, entry)
            return entry
    except BaseException:
        if run is not None:
            session.tracker.fail(run, "KILLED" if session.workers.stopped else "FAILED")
        raise


def _failpoint(name: str) -> None:
    """``STUDY_FAILPOINT=<task-run name>[:once]`` makes that task fail."""
    wanted = os.environ.get("STUDY_FAILPOINT", "")
    if wanted.removesuffix(":once") != name:
        return
    if wanted.endswith(":once"):
        marker = study_home() / "failpoints" / digest(wanted)
        if marker.exists():
            return
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
    raise FailpointError(f"STUDY_FAILPOINT={wanted}")


def _kill_point(name: str, epoch: int) -> None:
    """``STUDY_FAILPOINT_KILL=<task-run name>:epoch=N`` kills the process after that epoch."""
    if os.environ.get("STUDY_FAILPOINT_KILL", "") == f"{name}:epoch={epoch}":
        os.kill(os.getpid(), signal.SIGKILL)
