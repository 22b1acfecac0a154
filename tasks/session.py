"""What one invocation shares among its tasks: workers, display, tracker, its record."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tasks.code_digest import read_code
from tasks.invocations import InvocationLog
from tasks.progress import Display
from tasks.stacks import Stacks
from tasks.step import Step
from tasks.tracking.tracker import Tracker
from tasks.workers import Workers


@dataclass
class Session:
    """The shared engines of one invocation of a study.

    ``forced`` names the tasks to compute though they are in the store; ``computed`` those that
    were; ``performed`` tells how to compute an entry of this invocation again, by its key.
    """

    workers: Workers
    display: Display
    tracker: Tracker
    log: InvocationLog
    forced: set[str]
    stacks: Stacks
    computed: set[str] = field(default_factory=set)
    performed: dict[str, tuple[Step, str, dict[str, Any]]] = field(default_factory=dict)


_current: Session | None = None


def current_session() -> Session:
    """The session of the running flow. Raises RuntimeError outside a study flow."""
    if _current is None:
        raise RuntimeError("tasks run inside a study flow; start one with 'study run'")
    return _current


def interrupt() -> Session | None:
    """Kill the workers of the running session, if there is one, and return it."""
    if _current is not None:
        _current.workers.stop()
    return _current


@contextmanager
def open_session(
    workers: Workers, tracker: Tracker, log: InvocationLog, forced: set[str], stack: int = 1
) -> Iterator[Session]:
    """Put the engines to use and stop the workers, whatever happens between.

    ``stack`` is how many models that differ in their seed only are trained together.
    """
    global _current
    read_code()  # before any worker starts, so that no worker runs other code than the keys say
    with Display() as display:
        _current = Session(workers, display, tracker, log, forced, Stacks(stack))
        try:
            yield _current
        finally:
            workers.stop()
            _current = None
