"""A step as a Prefect task.

The store is the only cache: a task whose entry is there, verified, ends as ``Cached``. Prefect
keeps no result of its own, so there is no second copy that could be damaged or out of date.
"""

import errno
from contextlib import nullcontext
from functools import cache
from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.states import Completed
from prefect.tasks import exponential_backoff

from tasks.cache.entry import Entry
from tasks.cache.identity import Identity
from tasks.cache.nested import map_leaves
from tasks.cache.step import Step
from tasks.execution.dask_task import DaskContext
from tasks.execution.perform import perform

RETRIES = 3  # after 1, 2 and 4 seconds
PERMANENT_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}


def is_transient(error: BaseException) -> bool:
    """Whether trying again may help: input and output, a lost connection."""
    return isinstance(error, OSError) and error.errno not in PERMANENT_ERRORS


def _worth_retrying(task: Task[Any, Any], run: TaskRun, state: State[Any]) -> bool:
    error = state.result(raise_on_failure=False)
    return isinstance(error, BaseException) and is_transient(error)


class OpaqueEntry:
    """Wraps an entry so that Prefect does not search its values for futures."""

    def __init__(self, entry: Entry):
        self.entry = entry


def wrap_entries(value: Any) -> Any:
    """A task's inputs with every entry wrapped."""
    return map_leaves(value, lambda leaf: OpaqueEntry(leaf) if isinstance(leaf, Entry) else leaf)


def unwrap_entries(value: Any) -> Any:
    """A task's inputs with every entry as it is."""
    return map_leaves(value, lambda leaf: leaf.entry if isinstance(leaf, OpaqueEntry) else leaf)


@cache
def prefect_task(step: Step, dask: DaskContext | None = None) -> Task[..., Any]:
    """The Prefect task of a step: ``inputs`` and ``identity`` in, an OpaqueEntry out.

    With a context it is a task for a Dask worker, on which the invocation does not run.
    """
    code = step.code

    # All inputs go in one parameter: Prefect finds the futures in it, and every step has the same
    # signature.
    def run(inputs: dict[str, Any], identity: Identity) -> Any:
        with dask.session(step, code) if dask else nullcontext():
            entry, cached = perform(step, identity, unwrap_entries(inputs))
        wrapped = OpaqueEntry(entry)
        return Completed(name="Cached", message="in the store", data=wrapped) if cached else wrapped

    # Prefect tells tasks apart by the name of their function, and shows its docstring.
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
        retry_condition_fn=_worth_retrying,
    )
