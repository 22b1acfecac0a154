"""Worker processes: each is started once, and runs one computation at a time.

A process that is killed fails its own computation only. On Linux worker processes are forked from a
server process that has already imported the libraries that take seconds to import.
"""

import atexit
import multiprocessing
import os
import queue
import re
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from types import ModuleType
from typing import TYPE_CHECKING

from tasks.artifacts.worker import Listener, configure_worker, set_listener
from tasks.execution.workers import Returned, WorkerDiedError
from tasks.system.hardware import Device
from tasks.system.user_warnings import show_warning

if TYPE_CHECKING:  # worker processes import this module, so it imports little
    from tasks.execution.session import InvocationSession

POLL_SECONDS = 0.05
STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
# macOS: a process that is forked after its parent has used the system's libraries may crash
START_METHOD = "spawn" if sys.platform == "darwin" else "forkserver"
ABORTED = re.compile(r"^  what\(\):  (.*)$", re.MULTILINE)  # printed by C++ for an exception
PRELOADED_MODULES = [
    "torch",
    "torchvision",
    "torch.export._trace",
    "mlflow.pytorch",
    "mlflow.pyfunc.model",
    "matplotlib.figure",
]
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

_starting = threading.Lock()


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _start_worker(
    reports: Connection,
    errors: Connection,
    threads: int,
    device: Device,
    uses_torch: bool,
    environment: dict[str, str],
) -> None:
    os.environ.update(environment)
    # Python's warnings reach the terminal; what a library in C++ says before it aborts does not
    sys.stderr = open(os.dup(2), "w", buffering=1)  # noqa: SIM115
    os.dup2(errors.fileno(), 2)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    warnings.showwarning = show_warning
    if uses_torch:
        configure_worker(reports.send, threads, device)
    else:
        set_listener(reports.send)


@contextmanager
def without_main_module() -> Iterator[None]:
    """A process that starts meanwhile does not import the main module.

    That may be a script that would run the study again: it has no ``if __name__ == "__main__"``.
    """
    with _starting:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


def _do_nothing() -> None:
    """The first call in a process, which makes it start."""


class _WorkerProcess:
    """One process, and the pipe through which its computation reports events."""

    def __init__(self, threads: int, device: Device, uses_torch: bool):
        context = multiprocessing.get_context(START_METHOD)
        self._receiver, sender = context.Pipe(duplex=False)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        # a Connection, because that is sent to a process with its descriptor
        errors = Connection(os.dup(self._errors.fileno()), readable=False)
        environment = dict(os.environ)
        if not uses_torch:  # libraries read these when they are imported
            environment = dict.fromkeys(THREAD_VARIABLES, str(threads)) | environment
        arguments = sender, errors, threads, device, uses_torch, environment
        self.pool = ProcessPoolExecutor(
            1, mp_context=context, initializer=_start_worker, initargs=arguments
        )
        self._started = self._killed = False

    def start(self) -> None:
        """Start the process now, so that it is ready when it is needed."""
        # Ctrl-C reaches every process of the terminal, but the parent decides when workers stop.
        # A process that is started inherits this, the server process that forks workers, too.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            with without_main_module():
                self.pool.submit(_do_nothing)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._started = True
        if self._killed:
            self.kill()

    def run(
        self,
        function: Callable[..., Returned],
        arguments: Mapping[str, object],
        on_event: Listener,
    ) -> Returned:
        future = self.pool.submit(function, **arguments)
        while not future.done() or self._receiver.poll():
            if self._receiver.poll(POLL_SECONDS):
                on_event(self._receiver.recv())
        return future.result()

    def why_it_ended(self) -> str:
        """The error with which a library in C++ ended the process, or what is most likely."""
        with suppress(ValueError):  # another thread has just killed it, which closes the file
            self._errors.seek(0)
            if found := ABORTED.search(self._errors.read().decode(errors="replace")):
                return found[1]
        return "the worker process was killed or ran out of memory"

    def kill(self) -> None:
        """Kill the process; if it is being started, which takes seconds, as soon as it runs."""
        self._killed = True
        if not self._started:
            return  # the pool would make this thread wait
        for process in list((self.pool._processes or {}).values()):
            process.kill()
        self.pool.shutdown(wait=False, cancel_futures=True)
        self._errors.close()


class WorkerProcesses:
    """A fixed number of worker processes on this machine, each with ``threads`` threads.

    With ``shares_machine`` there are others on it, which this process does not know. Without
    ``uses_torch`` a process starts in a fraction of the time, and ``device`` has no effect.
    """

    dask_context = None  # no task runs on another machine

    def __init__(
        self,
        width: int,
        threads: int,
        device: Device = "auto",
        *,
        shares_machine: bool = False,
        uses_torch: bool = True,
    ):
        if (
            width == 1 and threads > 1 and not shares_machine
        ):  # otherwise several threads may share one core
            os.environ.setdefault("OMP_PROC_BIND", "true")
        # a single worker imports only what it needs, when it needs it; "spawn" ignores this
        preloaded = PRELOADED_MODULES if uses_torch and (width > 1 or shares_machine) else []
        multiprocessing.get_context(START_METHOD).set_forkserver_preload(preloaded)
        self._threads, self._device, self._uses_torch = threads, device, uses_torch
        self.stopped = False
        # the processes without a computation; None in place of one that is not started yet
        self._free: queue.LifoQueue[_WorkerProcess | None] = queue.LifoQueue()
        self._processes: set[_WorkerProcess] = set()
        self._started = False
        for _ in range(width):
            self._free.put(None)
        atexit.register(self.stop)

    def start(self) -> None:
        """Start every process now: each takes seconds to import torch."""
        self._started = True
        free = []
        with suppress(queue.Empty):
            while True:
                free.append(self._free.get_nowait())
        for process in free:
            if process is None and not self.stopped:
                self._free.put(self._new_process())
            else:
                self._free.put(process)

    def _new_process(self) -> _WorkerProcess:
        process = _WorkerProcess(self._threads, self._device, self._uses_torch)
        self._processes.add(process)
        process.start()
        if self.stopped:  # meanwhile, by another thread
            process.kill()
        return process

    def run(
        self,
        function: Callable[..., Returned],
        arguments: Mapping[str, object],
        on_event: Listener = lambda event: None,
    ) -> Returned:
        """Compute ``function(**arguments)`` in a free process, and pass its events to ``on_event``.

        Waits until a process is free. Raises what the function raises, or WorkerDiedError if the
        process ended.
        """
        process = self._free.get()
        try:
            if self.stopped:
                raise WorkerDiedError("the run was stopped")
            process = process or self._new_process()
            if not self._started:
                self.start()  # if one task computes, others most often follow
            return process.run(function, arguments, on_event)
        except (BrokenProcessPool, EOFError):
            assert process is not None
            why = process.why_it_ended()
            process.kill()
            self._processes.discard(process)
            process = None
            raise WorkerDiedError(why) from None
        finally:
            self._free.put(process)

    def listen(self, session: "InvocationSession") -> None:
        """Do nothing: ``run`` passes events to its caller."""

    def stop(self) -> None:
        """Kill every worker process at once; running computations fail."""
        self.stopped = True
        for process in list(self._processes):
            process.kill()
        self._processes.clear()


_prestarted: WorkerProcesses | None = None
_flow_has_workers = False
_prestart_lock = threading.Lock()


def prestart_workers(workers: WorkerProcesses) -> None:
    """Start worker processes before the flow runs, which then takes them.

    Does nothing if the flow has taken workers already.
    """
    global _prestarted
    with _prestart_lock:
        if not _flow_has_workers:
            _prestarted = workers
            workers.start()


def stop_prestarted() -> None:
    """Stop workers that no flow has taken; a start that the exit interrupts prints a traceback."""
    global _flow_has_workers
    with _prestart_lock:
        _flow_has_workers = True  # none are started from now on
        if _prestarted is not None:
            _prestarted.stop()


def take_workers(
    width: int, threads: int, device: Device, uses_torch: bool = True
) -> WorkerProcesses:
    """Workers for one invocation: the prestarted ones if there are any, otherwise new ones."""
    global _prestarted, _flow_has_workers
    with _prestart_lock:
        workers, _prestarted, _flow_has_workers = _prestarted, None, True
    return workers or WorkerProcesses(width, threads, device, uses_torch=uses_torch)
