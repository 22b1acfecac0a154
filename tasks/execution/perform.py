"""Performs one task: takes its entry from the store, or has a worker compute it."""

import gc
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tasks.cache import checkpoints, store
from tasks.cache.entry import Entry, files_in
from tasks.cache.identity import Identity, task_name
from tasks.cache.nested import leaves
from tasks.cache.provenance import provenance
from tasks.cache.step import Member, SeedStackStep, Step
from tasks.execution.exact_code import compute_exactly
from tasks.execution.seed_stacks import Peer
from tasks.execution.session import Performed, current_session
from tasks.execution.workers import WorkerDiedError
from tasks.system.failpoints import fail_point, kill_point
from tasks.tracking.run_plan import RunPlan


class Job(NamedTuple):
    """One entry to compute, and the MLflow run that shows it."""

    identity: Identity
    name: str
    inputs: dict[str, Any]
    key: str
    run: RunPlan | None

    @classmethod
    def of(cls, step: Step, identity: Identity, inputs: dict[str, Any]) -> "Job":
        """The job of a task with these inputs."""
        key = step.key(inputs)
        run = RunPlan.of(step, key, identity, inputs)
        return cls(identity, task_name(step.name, identity), inputs, key, run)


def perform(step: Step, identity: Identity, inputs: dict[str, Any]) -> tuple[Entry, bool]:
    """The entry of a step for these inputs, and whether it was in the store already.

    A finished key is never computed again, in whichever run or study it turns up, unless this
    invocation was told to. A lock keeps other processes from computing it at the same time.
    """
    session = current_session()
    job = Job.of(step, identity, inputs)
    session.performed[job.key] = Performed(step, identity, inputs)
    session.log.task(job.name, task=step.name, key=job.key)
    with session.stacks.turn(job.name) as peers, store.locked(step.name, job.key):
        forced = job.name in session.forced
        entry = None if forced else store.load(step.name, job.key)
        if entry is not None or forced:
            checkpoints.remove(step.name, job.key)  # of a computation that is over
        if entry is None:
            if session.workers.stopped:
                raise WorkerDiedError("the run was stopped")
            session.display.begin(job.name)
            fail_point(job.name)
            _restore_upstream(inputs)
            with _waiting_peers(step, job, peers) as others:
                entry = _compute(step, [job, *others])
            kill_point(job.name, "published")
        if job.run is not None:
            session.tracker.log_entry(job.run, entry)
    return entry, job.name not in session.computed


@contextmanager
def _waiting_peers(step: Step, first: Job, peers: list[Peer]) -> Iterator[list[Job]]:
    """The jobs of a stack that nobody has done or is doing, with the locks of their keys held.

    A training that resumes is computed with those that resume after the same epoch.
    """
    if not isinstance(step, SeedStackStep):
        yield []
        return
    session = current_session()
    epoch = checkpoints.epoch_of(step.name, first.key)
    with ExitStack() as locks:
        jobs = []
        for peer in peers:
            job = Job.of(step, peer.identity, first.inputs | {step.seeded: peer.seeded})
            free = locks.enter_context(store.locked_if_free(step.name, job.key))
            forced = job.name in session.forced
            same = checkpoints.epoch_of(step.name, job.key) == epoch
            if free and same and (forced or store.load(step.name, job.key) is None):
                session.display.begin(job.name)
                jobs.append(job)
        yield jobs


def _restore_upstream(inputs: dict[str, Any]) -> None:
    """Compute again what was deleted or damaged since this invocation saw it."""
    for entry in leaves(inputs):
        if isinstance(entry, Entry) and store.load(entry.task, entry.key) is None:
            performed = current_session().performed.get(entry.key)
            if performed is None:
                raise store.missing(entry)
            perform(*performed)


def _compute(step: Step, jobs: list[Job]) -> Entry:
    """Compute jobs in one worker, publish what comes out, return the entry of the first.

    The MLflow run of a job that fails is closed as failed.
    """
    session = current_session()
    gc.enable()  # the command line starts without
    runs = [job.run for job in jobs if job.run is not None]

    def on_event(event: dict[str, Any]) -> None:
        job = jobs[event.pop("member", 0)]
        session.display.epoch(job.name, event)
        if job.run is not None:
            session.tracker.log_epoch(job.run, event)
        kill_point(job.name, f"epoch={event['epoch']}")

    for run in runs:
        session.tracker.begin(run)
    started = time.monotonic()
    try:
        with ExitStack() as workspaces:
            members = [_member(step, job, workspaces) for job in jobs]
            call = {
                "compute": step.compute,
                "code": step.code,
                "arguments": step.arguments(members),
            }
            results = step.results(session.workers.run(compute_exactly, call, on_event))
            seconds = (time.monotonic() - started) / len(jobs)
            entries = [
                _publish(step, job, member.folder, result, seconds)
                for job, member, result in zip(jobs, members, results, strict=True)
                if not isinstance(result, Exception)
            ]
            if isinstance(results[0], Exception):
                raise results[0]
            return entries[0]
    except BaseException:
        for run in runs:
            session.tracker.fail(run, "KILLED" if session.workers.stopped else "FAILED")
        raise


def _member(step: Step, job: Job, workspaces: ExitStack) -> Member:
    folder = workspaces.enter_context(store.workspace(step.name, job.key))
    kept = checkpoints.verified_folder(step.name, job.key) if step.resumable else None
    return Member(job.inputs, folder, kept)


def _publish(step: Step, job: Job, folder: Path, result: dict[str, Any], seconds: float) -> Entry:
    session = current_session()
    entry = Entry(
        task=step.name,
        key=job.key,
        name=job.name,
        identity=dict(job.identity),
        inputs=step.recorded(job.inputs),
        code=step.code,
        result=result,
        files=files_in(folder),
        seconds=seconds,
        provenance=provenance(),
    )
    kill_point(job.name, "publish")
    store.publish(folder, entry)
    checkpoints.remove(step.name, job.key)
    session.forced.discard(job.name)
    session.computed.add(job.name)
    return entry
