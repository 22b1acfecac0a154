"""What one invocation shares among its tasks: workers, display, tracker, its record."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from tasks.code_digest import read_code
from tasks.invocations import InvocationLog
from tasks.progress import Display
from tasks.stacks import Stacks
from tasks.step import Step
from tasks.tracking.tracker import Tracker


@dataclass
class Session:
    """The shared engines of one invocation of a study.

    ``forced`` names the tasks to compute though they are in the store; ``computed`` those that
    were; ``performed`` tells how to compute an entry of this invocation again, by its key.
    """

    workers: Any  # Workers, or what stands for them on or before a cluster
    display: Display
    tracker: Tracker
    log: InvocationLog
    forced: set[str]
    stacks: Stacks
    computed: set[str] = field(default_factory=set)
    performed: dict[str, tuple[Step, str, dict[str, Any]]] = field(default_factory=dict)


_current: Session | None = None
of_task: ContextVar[Session | None] = ContextVar("of_task", default=None)


def current_session() -> Session:
    """The session of the running flow or task. Raises RuntimeError outside a study flow."""
    session = of_task.get() or _current
    if session is None:
        raise RuntimeError("tasks run inside a study flow; start one with 'study run'")
    return session


@contextmanager
def task_session(session: Session) -> Iterator[None]:
    """In here, in this thread, the session is that of one task for an invocation elsewhere."""
    token = of_task.set(session)
    try:
        yield
    finally:
        of_task.reset(token)


def interrupt() -> Session | None:
    """Kill the workers of the running session, if there is one, and return it."""
    if _current is not None:
        _current.workers.stop()
    return _current


@contextmanager
def open_session(
    workers: Any, tracker: Tracker, log: InvocationLog, forced: set[str], stack: int = 1
) -> Iterator[Session]:
    """Put the engines to use and stop the workers, whatever happens between.

    ``stack`` is how many models that differ in their seed only are trained together.
    """
    global _current
    read_code()  # before any worker starts, so that no worker runs other code than the keys say
    with Display() as display:
        _current = Session(workers, display, tracker, log, forced, Stacks(stack))
        if workers.errand is not None:
            workers.listen(_current)
        try:
            yield _current
        finally:
            workers.stop()
            _current = None
