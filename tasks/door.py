"""The door between Prefect and a step: store, worker process, checkpoints, MLflow.

The store is the cache: a task whose entry is there, verified, ends as ``Cached``. Prefect keeps no
result of its own, so there is no second copy that could be damaged or out of date.
"""

import errno
import gc
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.runtime import task_run
from prefect.states import Completed
from prefect.tasks import exponential_backoff

from tasks import checkpoints, store
from tasks.errand import Errand
from tasks.failpoints import fail_point, kill_point
from tasks.provenance import provenance
from tasks.run_plan import RunPlan
from tasks.session import current_session
from tasks.stacks import Peer
from tasks.step import Step, compute_exactly, leaves, map_leaves
from tasks.store import Entry
from tasks.workers import WorkerDiedError

RETRIES = 3  # after 1, 2 and 4 seconds
LASTING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}


def transient(error: BaseException) -> bool:
    """Whether trying again may help: input and output, a lost connection."""
    return isinstance(error, OSError) and error.errno not in LASTING


def _worth_retrying(task: Task[Any, Any], run: TaskRun, state: State[Any]) -> bool:
    error = state.result(raise_on_failure=False)
    return isinstance(error, BaseException) and transient(error)


class Held:
    """An entry on its way through Prefect, which else looks for futures in every value of it."""

    def __init__(self, entry: Entry):
        self.entry = entry


def hold(value: Any) -> Any:
    """A task's inputs with every entry held."""
    return map_leaves(value, lambda leaf: Held(leaf) if isinstance(leaf, Entry) else leaf)


def release(value: Any) -> Any:
    """A task's inputs with every entry as it is."""
    return map_leaves(value, lambda leaf: leaf.entry if isinstance(leaf, Held) else leaf)


@cache
def as_task(step: Step, errand: Errand | None = None) -> Task[Any, Held]:
    """The Prefect task of a step. The flow names each run, and the name is told to the user.

    With an errand it is one for a worker on which the invocation does not run.
    """
    code = step.code

    def door(*arguments: Any, **named: Any) -> Any:
        inputs = release(dict(step.signature.bind(*arguments, **named).arguments))
        name = task_run.name
        with errand.session(name, step, code) if errand else nullcontext():
            entry, cached = perform(step, name, inputs)
        held = Held(entry)
        return Completed(name="Cached", message="in the store", data=held) if cached else held

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
    job = Job.of(step, name, inputs)
    session.performed[job.key] = (step, name, inputs)
    session.log.task(name, task=step.name, key=job.key)
    with session.stacks.turn(name) as peers, store.locked(step.name, job.key):
        forced = name in session.forced
        entry = None if forced else store.load(step.name, job.key)
        if entry is not None or forced:
            checkpoints.remove(step.name, job.key)  # of a computation that is over
        if entry is None:
            if session.workers.stopped:
                raise WorkerDiedError("the run was stopped")
            session.display.begin(name)
            fail_point(name)
            _restore_upstream(inputs)
            with _waiting(step, job, peers) as others:
                entry = _compute(step, [job, *others])
            kill_point(name, "published")
        if job.run is not None:
            session.tracker.log_entry(job.run, entry)
    return entry, name not in session.computed


class Job(NamedTuple):
    """One entry to compute, and the MLflow run that shows it."""

    name: str
    inputs: dict[str, Any]
    key: str
    run: RunPlan | None

    @classmethod
    def of(cls, step: Step, name: str, inputs: dict[str, Any]) -> "Job":
        """The job of a task with these inputs."""
        key = step.key(inputs)
        return cls(name, inputs, key, RunPlan.of(step, key, name, inputs))


@contextmanager
def _waiting(step: Step, first: Job, peers: list[Peer]) -> Iterator[list[Job]]:
    """The jobs of a stack that nobody has done or is doing, with the locks of their keys held.

    A training that resumes is computed with those that resume behind the same epoch.
    """
    session = current_session()
    epoch = checkpoints.epoch_of(step.name, first.key)
    with ExitStack() as locks:
        jobs = []
        for peer in peers:
            job = Job.of(step, peer.name, first.inputs | {str(step.seeded): peer.seeded})
            free = locks.enter_context(store.locked_if_free(step.name, job.key))
            forced = peer.name in session.forced
            same = checkpoints.epoch_of(step.name, job.key) == epoch
            if free and same and (forced or store.load(step.name, job.key) is None):
                session.display.begin(peer.name)
                jobs.append(job)
        yield jobs


def _restore_upstream(inputs: dict[str, Any]) -> None:
    """Compute again what was deleted or damaged since this invocation saw it."""
    for entry in leaves(inputs):
        if isinstance(entry, Entry) and store.load(entry.task, entry.key) is None:
            performed = current_session().performed
            if entry.key not in performed:
                raise store.missing(entry)
            perform(*performed[entry.key])


def _compute(step: Step, jobs: list[Job]) -> Entry:
    """Compute jobs in one worker, publish what comes out, return the entry of the first.

    An MLflow run whose job fails is closed as failed.
    """
    session = current_session()
    gc.enable()  # the command line starts without
    began = [job.run for job in jobs if job.run is not None]

    def on_event(event: dict[str, Any]) -> None:
        job = jobs[event.pop("member", 0)]
        session.display.epoch(job.name, event)
        if job.run is not None:
            session.tracker.log_epoch(job.run, event)
        kill_point(job.name, f"epoch={event['epoch']}")

    for run in began:
        session.tracker.begin(run)
    started = time.monotonic()
    try:
        with ExitStack() as workspaces:
            folders = [
                workspaces.enter_context(store.workspace(step.name, job.key)) for job in jobs
            ]
            arguments = _arguments(step, jobs, folders)
            task = {"compute": step.compute, "code": step.code, "arguments": arguments}
            outcome = session.workers.run(compute_exactly, task, on_event)
            results = outcome if step.seeded else [outcome]
            seconds = (time.monotonic() - started) / len(jobs)
            entries = [
                _publish(step, job, folder, result, seconds)
                for job, folder, result in zip(jobs, folders, results, strict=True)
                if not isinstance(result, Exception)
            ]
            if isinstance(results[0], Exception):
                raise results[0]
            return entries[0]
    except BaseException:
        for run in began:
            session.tracker.fail(run, "KILLED" if session.workers.stopped else "FAILED")
        raise


def _arguments(step: Step, jobs: list[Job], folders: list[Path]) -> dict[str, Any]:
    """What the computation takes: lists of what is each job's own, if it takes several."""
    arguments = dict(jobs[0].inputs)
    own: dict[str, list[Any]] = {"folder": list(folders)}
    if step.resumable:
        own["checkpoints"] = [checkpoints.verified_folder(step.name, job.key) for job in jobs]
    if step.seeded:
        own[step.seeded] = [job.inputs[step.seeded] for job in jobs]
        return arguments | own
    return arguments | {name: values[0] for name, values in own.items()}


def _publish(step: Step, job: Job, folder: Path, result: dict[str, Any], seconds: float) -> Entry:
    session = current_session()
    entry = Entry(
        task=step.name,
        key=job.key,
        name=job.name,
        inputs=step.recorded(job.inputs),
        code=step.code,
        result=result,
        files=store.files_in(folder),
        seconds=seconds,
        provenance=provenance(),
    )
    kill_point(job.name, "publish")
    store.publish(folder, entry)
    checkpoints.remove(step.name, job.key)
    session.forced.discard(job.name)
    session.computed.add(job.name)
    return entry
