"""What is not in MLflow yet: ``STUDY_HOME/spool/<invocation>.jsonl``, one operation per line.

An operation is written to the spool before it is tried, and the spool is removed when all of its
operations are in MLflow, so neither an outage nor a kill loses any. Events by epoch are not in the
spool: the finished entry holds the whole history, and ``log_entry`` logs what is missing of it. A
process holds a lock for as long as it writes to a spool: one that is not locked was left by an
invocation that ended.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from tasks.cache.canonical import JsonObject
from tasks.system import json_lines
from tasks.system.folders import study_home
from tasks.system.locks import try_lock

Operation = JsonObject  # its name in ``do``, the time in milliseconds in ``at``, and arguments


def _folder() -> Path:
    return study_home() / "spool"


class Spool:
    """The operations of one invocation."""

    def __init__(self, invocation: str):
        self.invocation = invocation
        self.path = _folder() / f"{invocation}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.path.with_suffix(".lock"), thread_local=False)

    @contextmanager
    def try_lock(self) -> Iterator[bool]:
        """Lock the spool without waiting; yields whether that succeeded, releases it at the end."""
        with try_lock(self._lock) as locked:
            yield locked
        if locked:
            self._remove_unused_lock()

    def lock(self) -> None:
        """Lock the spool until ``release``, or until this process ends."""
        self._lock.acquire()

    def release(self) -> None:
        """Release the lock, so that another process can log the operations that are left."""
        self._lock.release()
        self._remove_unused_lock()

    def _remove_unused_lock(self) -> None:
        if not self.path.exists():
            Path(self._lock.lock_file).unlink(missing_ok=True)

    def add(self, operation: Operation) -> None:
        """Append one operation."""
        json_lines.append(self.path, operation)

    def read(self) -> list[Operation]:
        """All operations. A line that a kill cut off is left out; it was never tried."""
        return list(json_lines.read(self.path))

    def remove(self) -> None:
        """Delete the file, because all of its operations are in MLflow."""
        self.path.unlink(missing_ok=True)


def existing_spools() -> list[Spool]:
    """Every spool with operations, oldest first; some may belong to running invocations."""
    return [Spool(path.stem) for path in sorted(_folder().glob("*.jsonl"))]
