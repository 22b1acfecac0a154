"""What one invocation shares among its tasks: workers, display and tracker."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tasks.progress import Display
from tasks.tracking import Tracker
from tasks.workers import Workers


@dataclass
class Session:
    """The shared engines of one invocation of a study."""

    workers: Workers
    display: Display
    tracker: Tracker


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


def default_width() -> int:
    """Tasks side by side: one per core that this process may use, at most 4."""
    return max(1, min(4, usable_cores()))


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def open_session(
    tracker: Tracker, width: int | None = None, threads: int | None = None
) -> Iterator[Session]:
    """Start the engines and stop them, whatever happens between."""
    global _current
    width = width or default_width()
    workers = Workers(width, threads or max(1, usable_cores() // width))
    with Display() as display:
        _current = Session(workers, display, tracker)
        try:
            yield _current
        finally:
            workers.stop()
            _current = None
