"""Locks between processes. They are the operating system's, so each dies with its holder."""

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from tasks.system.folders import study_home


def mlflow_lock() -> FileLock:
    """The lock of what two processes must not do in MLflow at once."""
    return FileLock(study_home() / "mlflow.lock")


def entry_lock() -> FileLock:
    """The lock of whoever shows an entry in MLflow, which takes longer; taken before the other."""
    return FileLock(study_home() / "mlflow-entry.lock")


@contextmanager
def held_if_free(lock: FileLock) -> Iterator[bool]:
    """Hold a lock unless somebody does already; whether it is held."""
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
