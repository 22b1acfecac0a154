"""Locks between processes. The operating system releases them when their process dies."""

from collections.abc import Iterator
from contextlib import contextmanager

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
    """The lock for naming a new invocation, so that each begins after all others."""
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
