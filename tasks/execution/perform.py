"""Performs one task: loads its entry from the store, or computes it in a worker."""

import gc
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from models.messages import shown
from models.specs import ConfigError
from tasks.artifacts.worker import Event
from tasks.cache import checkpoints, store
from tasks.cache.entry import Entry, files_in, sizes_in
from tasks.cache.identity import Identity, task_name
from tasks.cache.nested import leaves
from tasks.cache.provenance import provenance, releases_in_keys
from tasks.cache.step import VERSIONS, Inputs, Member, Result, SeedStackStep, Step
from tasks.code import code_digest
from tasks.execution.exact_code import CodeChangedError, compute_exactly
from tasks.execution.seed_stacks import Peer
from tasks.execution.session import TaskCall, current_session
from tasks.execution.workers import WorkerDiedError
from tasks.own_code.digest import code_parts
from tasks.own_code.own_code import OwnCode
from tasks.own_code.registry import texts_of
from tasks.own_code.unchanged import edited_since_read, used_codes
from tasks.system.disk_errors import disk_errors
from tasks.system.failpoints import fail_point, kill_point
from tasks.tracking.run_plan import RunPlan


class Job(NamedTuple):
    """One entry to compute, and the MLflow run that shows it."""

    identity: Identity
    name: str
    inputs: Inputs
    key: str
    run: RunPlan | None

    @classmethod
    def of(cls, step: Step, identity: Identity, inputs: Inputs) -> "Job":
        """The job of a task with these inputs."""
        key = step.key(inputs)
        run = RunPlan.for_task(step, key, identity, inputs)
        return cls(identity, task_name(step.name, identity), inputs, key, run)


def perform(step: Step, identity: Identity, inputs: Inputs) -> tuple[Entry, bool]:
    """The entry of a step for these inputs, and whether it was in the store already.

    A key in the store is not computed again, by any run of any study, unless its entry is damaged
    or this invocation forces it. A lock keeps other processes from computing the same key at the
    same time.

    Raises what the computation raises, or WorkerDiedError; DiskError if nothing can be written;
    CodeChangedError if the key names other releases of libraries than this process has.
    """
    _check_releases(inputs)
    with disk_errors():
        return _perform(step, Job.of(step, identity, inputs))


def _perform(step: Step, job: Job) -> tuple[Entry, bool]:
    session = current_session()
    inputs = job.inputs
    session.task_calls[job.key] = TaskCall(step, job.identity, inputs)
    session.log.task(job.name, task=step.name, key=job.key)
    with session.stacks.lock_stack(job.name) as peers, store.locked(step.name, job.key):
        forced = job.name in session.forced
        entry = None if forced else _stored(step, job)
        if entry is not None or forced:
            checkpoints.remove(step.name, job.key)  # of an earlier computation
        if entry is None:
            if session.workers.stopped:
                raise WorkerDiedError("the run was stopped")
            session.display.begin(job.name)
            fail_point(job.name)
            _recompute_lost_inputs(inputs)
            with _lock_uncomputed_peers(step, job, peers) as others:
                entry = _compute(step, [job, *others])
            kill_point(job.name, "published")
        if job.run is not None:
            session.tracker.log_entry(job.run, entry)
    return entry, job.name not in session.computed


def _check_releases(inputs: Inputs) -> None:
    wanted, found = inputs.get(VERSIONS), releases_in_keys()
    if wanted not in (None, found):
        raise CodeChangedError(f"this worker has {found} and the study {wanted}; install the same")


def _stored(step: Step, job: Job) -> Entry | None:
    """The stored entry of a job, with the job's name: another study may have computed it."""
    entry = store.load(step.name, job.key, shared=step.shared)
    if entry is None:
        return None
    return entry.model_copy(update={"name": job.name, "identity": dict(job.identity)})


@contextmanager
def _lock_uncomputed_peers(step: Step, first: Job, peers: list[Peer]) -> Iterator[list[Job]]:
    """Lock the keys of all peers that no process holds. Yields the jobs that are not computed yet.

    A training that resumes is computed only with peers that resume after the same epoch.
    """
    if not isinstance(step, SeedStackStep):
        yield []
        return
    session = current_session()
    epoch = checkpoints.newest_epoch(step.name, first.key)
    with ExitStack() as locks:
        jobs = []
        for peer in peers:
            job = Job.of(
                step, peer.identity, first.inputs | {step.seed_input: peer.input_with_seed}
            )
            free = locks.enter_context(store.try_locked(step.name, job.key))
            forced = job.name in session.forced
            same = checkpoints.newest_epoch(step.name, job.key) == epoch
            if free and same and (forced or _stored(step, job) is None):
                session.display.begin(job.name)
                jobs.append(job)
        yield jobs


def _recompute_lost_inputs(inputs: Inputs) -> None:
    """Compute upstream entries again that were deleted or damaged since this invocation used them.

    Raises the error of ``store.missing_entry_error`` if this invocation did not perform its task.
    """
    for entry in leaves(inputs):
        if isinstance(entry, Entry) and store.load(entry.task, entry.key) is None:
            call = current_session().task_calls.get(entry.key)
            if call is None:
                raise store.missing_entry_error(entry)
            perform(*call)


def _compute(step: Step, jobs: list[Job]) -> Entry:
    """Compute jobs in one worker and publish their entries. Returns the entry of the first.

    The MLflow run of a job that fails is closed as failed.
    """
    session = current_session()
    gc.enable()  # ``study run`` disables it while it imports
    runs = [job.run for job in jobs if job.run is not None]

    def on_event(event: Event) -> None:
        job = jobs[int(event.pop("member", 0))]
        session.display.epoch(job.name, event)
        if job.run is not None:
            session.tracker.log_epoch(job.run, event)
        kill_point(job.name, f"epoch={event['epoch']}")

    for run in runs:
        session.tracker.begin(run)
    started = time.monotonic()
    try:
        with ExitStack() as workspaces, disk_errors():  # which looks while the workspaces exist
            own = _own_codes(jobs[0].inputs)
            members = [_member(step, job, workspaces) for job in jobs]
            call = {
                "compute": step.compute,
                "code": step.code,
                "arguments": step.arguments(members),
                "own_code": texts_of(own),
            }
            results = step.results(session.workers.run(compute_exactly, call, on_event))
            seconds = (time.monotonic() - started) / len(jobs)
            entries = [
                _publish(step, job, member.folder, result, seconds, own)
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
    kept = checkpoints.verify_checkpoints(step.name, job.key) if step.resumable else None
    return Member(job.inputs, folder, kept)


def _own_codes(inputs: Inputs) -> dict[str, OwnCode]:
    """The user's code that a computation may run, as it was when the study was read.

    Raises CodeChangedError if the files hold other code by now.
    """
    session = current_session()
    own = used_codes(inputs, session.own_codes)
    for one in own.values() if session.has_own_files else ():
        edit = edited_since_read(one)
        if edit:
            raise CodeChangedError(f"{edit} while the study was running; run it again")
    return own


def _check_result(result: Result) -> None:
    """Raise ConfigError unless a step returned a mapping of JSON data, and numbers as metrics."""
    try:
        json.dumps(result)
        is_mapping = all(isinstance(key, str) for key in result)
    except (TypeError, ValueError):
        is_mapping = False
    if not is_mapping or not isinstance(result, dict):
        raise ConfigError(
            f"its function returned {shown(result)}; a step returns a mapping of texts to "
            "JSON data: texts, numbers, lists, mappings"
        )
    for metric, value in (result.get("metrics") or {}).items():
        if isinstance(value, str | list | dict):
            raise ConfigError(f"metric {metric!r} is {shown(value)}; metrics are numbers")


def _publish(
    step: Step,
    job: Job,
    folder: Path,
    result: Result,
    seconds: float,
    own: dict[str, OwnCode],
) -> Entry:
    session = current_session()
    _check_result(result)
    entry = Entry(
        task=step.name,
        key=job.key,
        name=job.name,
        identity=dict(job.identity),
        inputs=step.inputs_as_json(job.inputs),
        code=step.code,
        code_format=code_digest.FORMAT,
        own_code={digest: code_parts(one) for digest, one in own.items()},
        result=result,
        files=files_in(folder),
        sizes=sizes_in(folder),
        seconds=seconds,
        provenance=dict(provenance()),
    )
    kill_point(job.name, "publish")
    store.publish(folder, entry)
    checkpoints.remove(step.name, job.key)
    session.forced.discard(job.name)
    session.computed.add(job.name)
    return entry
