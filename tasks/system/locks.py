"""Locks between processes. The operating system releases them when their process dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from tasks.system.folders import study_home


def mlflow_lock() -> FileLock:
    """The lock for changes in MLflow that two processes must not make at once."""
    return FileLock(study_home() / "mlflow.lock")


def mlflow_entry_lock() -> FileLock:
    """The lock for logging a store entry to MLflow, which takes longer.

    Trap: take it before ``mlflow_lock``, never after it, or two processes wait for each other.
    """
    return FileLock(study_home() / "mlflow-entry.lock")


def invocation_lock() -> FileLock:
    """The lock for naming a new invocation, so that each begins after all others.

    While another process holds it, no study begins.
    """
    return FileLock(study_home() / "invocations.lock")


@contextmanager
def try_lock(lock: FileLock) -> Iterator[bool]:
    """Acquire a lock without waiting; yields whether that succeeded, releases it at the end."""
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Whether a process that lives holds the ``FileLock`` of this file.

    Several processes may ask at once: the lock is not taken, so none of them sees it as held.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
