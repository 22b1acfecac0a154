import os
import signal
import subprocess
import sys
import threading
import warnings
from importlib.util import module_from_spec
from typing import ClassVar

import psutil
import pytest

from tasks.code.modules import ROOT
from tasks.execution import worker_processes as module
from tasks.execution.worker_processes import (
    WorkerDiedError,
    WorkerProcesses,
    prestart_workers,
    take_workers,
)


@pytest.fixture(autouse=True)
def no_prestarted_workers(monkeypatch):
    monkeypatch.setattr(module, "_prestarted", None)
    monkeypatch.setattr(module, "_flow_has_workers", False)


def pids(workers):
    return {pid for process in workers._processes for pid in process.pool._processes or {}}


def test_all_processes_start_with_the_first_computation_and_stay():
    workers = WorkerProcesses(2, 1, "cpu")
    assert pids(workers) == set()
    first = workers.run(os.getpid, {})
    started = pids(workers)
    assert len(started) == 2
    assert first in started
    assert workers.run(os.getpid, {}) in started
    assert pids(workers) == started
    workers.stop()
    with pytest.raises(WorkerDiedError, match="stopped"):
        workers.run(os.getpid, {})


def abort():
    """End as C++ does after an exception in a destructor."""
    os.write(2, b"terminate called after throwing\n  what():  unexpected pos 64 vs 0\nframe #0\n")
    os.abort()


def warn():
    warnings.warn("the weights are large", stacklevel=1)


def warn_abort_warn():
    workers = WorkerProcesses(1, 1, "cpu")
    workers.run(warn, {})
    try:
        workers.run(abort, {})
    except WorkerDiedError as error:
        print(error)
    workers.run(warn, {})


def test_an_abort_of_a_library_is_one_line_and_warnings_stay():
    code = f"from {__name__} import warn_abort_warn; warn_abort_warn()"
    # in a process of its own, because the server that starts workers keeps the first stderr
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "unexpected pos 64 vs 0\n"
    assert done.stderr == "warning: the weights are large\n" * 2


@pytest.mark.slow
def test_a_script_needs_no_guard_and_may_run_in_an_event_loop(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import asyncio\n"
        "from tasks.execution.worker_processes import WorkerProcesses\n"
        "async def main():\n"
        "    for number in (2, 3):\n"
        "        workers = WorkerProcesses(1, 1, 'cpu')\n"
        "        print(__name__, workers.run(pow, {'base': number, 'exp': 2}), flush=True)\n"
        "        workers.stop()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, script],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "__main__ 4\n__main__ 9\n"), done.stderr


def test_workers_that_no_flow_took_are_stopped():
    workers, late = WorkerProcesses(1, 1, "cpu"), WorkerProcesses(1, 1, "cpu")
    prestart_workers(workers)
    module.stop_prestarted()
    assert workers.stopped
    prestart_workers(late)
    assert pids(late) == set()


def test_a_dead_process_fails_one_computation_and_is_replaced():
    workers = WorkerProcesses(1, 1, "cpu")
    before = workers.run(os.getpid, {})
    with pytest.raises(WorkerDiedError, match="killed or ran out of memory"):
        workers.run(os._exit, {"status": 1})
    assert workers.run(os.getpid, {}) != before
    workers.stop()


def test_signals_do_not_end_a_process_but_its_parent_does():
    workers = WorkerProcesses(1, 1, "cpu")
    process = psutil.Process(workers.run(os.getpid, {}))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process.send_signal(number)
    assert workers.run(os.getpid, {}) == process.pid
    workers.stop()
    assert psutil.wait_procs([process], timeout=10)[1] == []


def test_a_stop_does_not_wait_for_a_process_that_is_being_started(monkeypatch):
    lock, starting, go = threading.Lock(), threading.Event(), threading.Event()

    class Pool:
        """As the pool of a process that takes long to start: it holds a lock meanwhile."""

        _processes: ClassVar = {}
        ended = False

        def submit(self, function):
            with lock:
                starting.set()
                assert go.wait(20)

        def shutdown(self, **options):
            with lock:
                self.ended = True

    pool = Pool()
    monkeypatch.setattr(module, "ProcessPoolExecutor", lambda *_, **__: pool)
    workers = WorkerProcesses(1, 1, "cpu")
    thread = threading.Thread(target=workers.start)
    thread.start()
    assert starting.wait(20)
    stop = threading.Thread(target=workers.stop, daemon=True)
    stop.start()
    stop.join(5)
    waits = stop.is_alive()
    go.set()
    thread.join()
    assert not waits
    assert pool.ended


def test_prestarted_workers_are_taken_once():
    early = WorkerProcesses(1, 1, "cpu")
    prestart_workers(early)
    assert len(pids(early)) == 1
    assert take_workers(1, 1, "cpu") is early
    assert take_workers(1, 1, "cpu") is not early
    early.stop()


def test_workers_that_come_too_late_are_not_started():
    take_workers(1, 1, "cpu")
    late = WorkerProcesses(1, 1, "cpu")
    prestart_workers(late)
    assert pids(late) == set()
    assert take_workers(1, 1, "cpu") is not late


@pytest.mark.parametrize(("platform", "method"), [("darwin", "spawn"), ("linux", "forkserver")])
def test_processes_are_not_forked_on_macos(monkeypatch, platform, method):
    monkeypatch.setattr(sys, "platform", platform)
    again = module_from_spec(module.__spec__)  # a second copy: the first keeps its state
    module.__spec__.loader.exec_module(again)
    assert method == again.START_METHOD


def test_the_other_way_to_start_processes_works_too(monkeypatch):
    monkeypatch.setattr(module, "START_METHOD", "spawn")
    workers = WorkerProcesses(2, 1, "cpu")
    assert workers.run(os.getppid, {}) == os.getpid()  # not a server that forks
    assert len(pids(workers)) == 2
    workers.stop()
