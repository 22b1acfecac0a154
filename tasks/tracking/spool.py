"""What is not in MLflow yet: ``STUDY_HOME/spool/<invocation>.jsonl``, one operation per line.

An operation is written to the spool before it is tried, and the spool is removed when all of its
operations are in MLflow, so neither an outage nor a kill loses any. Events by epoch are not in the
spool: the finished entry holds the whole history, and ``log_entry`` logs what is missing of it. A
process holds a lock for as long as it writes to a spool: one that is not locked was left by an
invocation that ended. The first line holds the format.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from tasks.cache.canonical import JsonObject
from tasks.system import json_lines
from tasks.system.folders import study_home
from tasks.system.invocation_names import in_order
from tasks.system.locks import try_lock

Operation = JsonObject  # its name in ``do``, the time in milliseconds in ``at``, and arguments

FORMAT = 2  # of a spool; one without a format is of format 1, which has no line for it


class SpoolError(Exception):
    """A spool that this version cannot log as a whole; the message is one line."""


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
        if not self.path.exists():
            json_lines.append(self.path, {"format": FORMAT})
        json_lines.append(self.path, operation)

    def read(self) -> list[Operation]:
        """All operations. A line that a kill cut off is left out; it was never tried.

        Raises SpoolError for a spool of a newer version, and for what is not a spool.
        """
        operations = []
        try:
            for line in json_lines.read(self.path):
                if "do" in line or "format" not in line:
                    operations.append(line)
                elif not isinstance(line["format"], int) or line["format"] > FORMAT:
                    raise SpoolError(
                        f"{self.path} was written by a newer version of this project; it is kept "
                        "for that version"
                    )
        except OSError as error:
            raise SpoolError(f"{self.path} {error.strerror}; delete it") from None
        except UnicodeDecodeError:
            raise SpoolError(f"{self.path} is damaged (not UTF-8); delete it") from None
        return operations

    def remove(self) -> None:
        """Delete the file, because all of its operations are in MLflow."""
        self.path.unlink(missing_ok=True)


def existing_spools() -> list[Spool]:
    """Every spool with operations, oldest first; some may belong to running invocations."""
    return [Spool(path.stem) for path in in_order(_folder().glob("*.jsonl"))]
