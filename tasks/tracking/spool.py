"""What is still to be logged: ``STUDY_HOME/spool/<invocation>.jsonl``, an operation a line.

An operation is written down before it is tried, and the file goes once all of it is in MLflow, so
neither an outage nor a kill loses any. A lock held for the invocation's life tells a file that is
being filled from one that was left.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from tasks.system import json_lines
from tasks.system.folders import study_home
from tasks.system.locks import held_if_free

Operation = dict[str, Any]


def _folder() -> Path:
    return study_home() / "spool"


class Spool:
    """The operations of one invocation."""

    def __init__(self, invocation: str):
        self.invocation = invocation
        self.path = _folder() / f"{invocation}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._held = FileLock(self.path.with_suffix(".lock"), thread_local=False)

    @contextmanager
    def taken(self) -> Iterator[bool]:
        """Hold the file, unless another process does; whether it is held."""
        with held_if_free(self._held) as held:
            yield held
        if held:
            self._tidy()

    def take(self) -> None:
        """Hold the file for as long as this process lives."""
        self._held.acquire()

    def leave(self) -> None:
        """Let others log what is left, if there is any."""
        self._held.release()
        self._tidy()

    def _tidy(self) -> None:
        if not self.path.exists():
            Path(self._held.lock_file).unlink(missing_ok=True)

    def add(self, operation: Operation) -> None:
        """Write down one operation."""
        json_lines.append(self.path, operation)

    def read(self) -> list[Operation]:
        """All of them; one that a kill has torn was not tried."""
        return list(json_lines.read(self.path))

    def remove(self) -> None:
        """All of it is in MLflow."""
        self.path.unlink(missing_ok=True)


def left_spools() -> list[Spool]:
    """Those that hold anything, the oldest first; some may belong to running invocations."""
    return [Spool(path.stem) for path in sorted(_folder().glob("*.jsonl"))]
