"""A step as a Prefect task.

The store is the only cache: a task whose verified entry is in the store ends as ``Cached``. Prefect
stores no results, so no second copy can be damaged or out of date.
"""

import errno
from contextlib import nullcontext
from functools import cache

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.states import Cancelled, Completed
from prefect.tasks import exponential_backoff

from tasks.cache.entry import Entry
from tasks.cache.identity import Identity
from tasks.cache.nested import map_leaves
from tasks.cache.step import Inputs, Step
from tasks.execution.perform import perform
from tasks.execution.session import TaskContext, current_session
from tasks.execution.workers import WorkerDiedError

RETRIES = 3  # after 1, 2 and 4 seconds
PERMANENT_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}


def is_transient(error: BaseException) -> bool:
    """Whether a retry may help: after an input or output error, or a lost connection."""
    return isinstance(error, OSError) and error.errno not in PERMANENT_ERRORS


def _failed_transiently(task: Task[..., object], run: TaskRun, state: State[object]) -> bool:
    error = state.result(raise_on_failure=False)
    return isinstance(error, BaseException) and is_transient(error)


class OpaqueEntry:
    """Wraps an entry so that Prefect does not search its values for futures."""

    def __init__(self, entry: Entry):
        self.entry = entry


EntryOrState = OpaqueEntry | State[OpaqueEntry]  # Prefect takes the result out of a state


def wrap_entries(inputs: Inputs) -> Inputs:
    """A task's inputs with every entry wrapped, also in lists and mappings."""

    def wrap(leaf: object) -> object:
        return OpaqueEntry(leaf) if isinstance(leaf, Entry) else leaf

    return {name: map_leaves(value, wrap) for name, value in inputs.items()}


def unwrap_entries(inputs: Inputs) -> Inputs:
    """A task's inputs with every wrapped entry replaced by the entry."""

    def unwrap(leaf: object) -> object:
        return leaf.entry if isinstance(leaf, OpaqueEntry) else leaf

    return {name: map_leaves(value, unwrap) for name, value in inputs.items()}


@cache
def prefect_task(step: Step, context: TaskContext | None = None) -> Task[..., EntryOrState]:
    """The Prefect task of a step: takes ``inputs`` and ``identity``, returns an OpaqueEntry.

    With a context the task runs on a Dask worker, outside the process of its invocation.
    """
    code = step.code

    # All inputs are one parameter: Prefect finds the futures in it, and every step has the same
    # signature.
    def run(inputs: Inputs, identity: Identity) -> EntryOrState:
        with context.session(step, code) if context else nullcontext():
            try:
                entry, cached = perform(step, identity, unwrap_entries(inputs))
            except WorkerDiedError:
                if current_session().workers.stopped:
                    return Cancelled(message="interrupted")
                raise
        wrapped = OpaqueEntry(entry)
        return Completed(name="Cached", message="in the store", data=wrapped) if cached else wrapped

    # Prefect identifies a task by the name of its function, and shows the function's docstring.
    run.__name__ = run.__qualname__ = step.name
    run.__doc__ = step.compute.__doc__
    run.__module__ = step.compute.__module__
    return Task(
        run,
        name=step.name,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=RETRIES,
        retry_delay_seconds=exponential_backoff(1),
        retry_condition_fn=_failed_transiently,
    )
