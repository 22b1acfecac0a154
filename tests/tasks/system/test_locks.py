"""Locks between real processes."""

import errno
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from tasks.code.modules import ROOT
from tasks.system.locks import (
    invocation_lock,
    is_held,
    mlflow_entry_lock,
    mlflow_lock,
    try_lock,
)

HOLDER = """
import sys
from tasks.system.locks import mlflow_lock, try_lock
with try_lock(mlflow_lock()) as acquired:
    print(acquired, flush=True)
    sys.stdin.read()
"""


@contextmanager
def other_process():
    """A process that tries to take the lock and holds it until its input ends; what it printed."""
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process, process.stdout.readline().strip()
        process.kill()


def acquired():
    with try_lock(mlflow_lock()) as free:
        return free


def test_a_lock_is_held_by_one_process_until_it_releases_it():
    with other_process() as (process, held):
        assert held == "True"
        assert not acquired()
        with try_lock(mlflow_entry_lock()) as free:
            assert free  # another lock
        process.stdin.close()
        process.wait()
        assert acquired()


def test_a_process_does_not_get_a_lock_that_this_one_holds():
    with mlflow_lock(), other_process() as (_, held):
        assert held == "False"


def test_a_lock_is_free_when_its_process_was_killed():
    with other_process() as (process, held):
        assert held == "True"
        process.kill()
        process.wait()
        assert acquired()


def test_a_lock_is_free_after_an_error():
    lock = mlflow_lock()
    with pytest.raises(ZeroDivisionError), try_lock(lock):
        raise ZeroDivisionError
    assert acquired()
    assert not lock.is_locked


def test_a_lock_is_held_while_its_holder_has_it(home):
    home.mkdir(exist_ok=True)
    path = home / "some.lock"
    assert not is_held(path)
    assert not path.exists()
    with FileLock(path):
        assert is_held(path)
    assert not is_held(path)


def test_whether_a_lock_is_held_is_known_where_its_file_cannot_be_written(home, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    home.mkdir(parents=True)
    with other_process() as (process, _):
        with monkeypatch.context() as patch:
            patch.setattr(FileLock, "acquire", refuse)
            assert is_held(Path(mlflow_lock().lock_file))
        assert is_held(Path(mlflow_lock().lock_file))
        process.communicate()
    monkeypatch.setattr(FileLock, "acquire", refuse)
    assert not is_held(Path(mlflow_lock().lock_file))
    assert not is_held(Path(invocation_lock().lock_file))  # there is no such file
