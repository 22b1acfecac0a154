"""Worker processes that compute: started once, one computation each, reporting as they go.

Each slot owns one process. A killed process fails the computation it held and nothing else. They
are forked from a server that has imported, once, what takes seconds to import.
"""

import atexit
import multiprocessing
import os
import queue
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from tasks.artifacts.worker import use_worker
from tasks.execution.workers import OnEvent, WorkerDiedError
from tasks.system.hardware import Device
from tasks.system.user_warnings import show_warning

POLL_SECONDS = 0.05
IMPORTED_ONCE = [
    "torch",
    "torchvision",
    "torch.export._trace",
    "mlflow.pytorch",
    "mlflow.pyfunc.model",
    "matplotlib.figure",
]


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _start_worker(
    reports: Connection, threads: int, device: Device, environment: dict[str, str]
) -> None:
    import signal

    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    warnings.showwarning = show_warning
    use_worker(reports.send, threads, device)


def _ready() -> None:
    """Done when the process has started."""


class _Slot:
    def __init__(self, threads: int, device: Device):
        context = multiprocessing.get_context("forkserver")
        self.receiver, sender = context.Pipe(duplex=False)
        arguments = sender, threads, device, dict(os.environ)
        self.pool = ProcessPoolExecutor(
            1, mp_context=context, initializer=_start_worker, initargs=arguments
        )

    def start(self) -> None:
        """Start the process now, so that it is ready when it is needed."""
        self.pool.submit(_ready)

    def run(
        self, function: Callable[..., Any], arguments: dict[str, Any], on_event: OnEvent
    ) -> Any:
        future = self.pool.submit(function, **arguments)
        while not future.done() or self.receiver.poll():
            if self.receiver.poll(POLL_SECONDS):
                on_event(self.receiver.recv())
        return future.result()

    def kill(self) -> None:
        for process in list((self.pool._processes or {}).values()):
            process.kill()
        self.pool.shutdown(wait=False, cancel_futures=True)


class WorkerProcesses:
    """A fixed number of slots for computations side by side."""

    dask_context = None  # tasks are computed here

    def __init__(self, width: int, threads: int, device: Device = "auto"):
        if width == 1 and threads > 1:  # otherwise both may end up on one core
            os.environ.setdefault("OMP_PROC_BIND", "true")
        # a single worker imports what it needs when it needs it
        shared = IMPORTED_ONCE if width > 1 else []
        multiprocessing.get_context("forkserver").set_forkserver_preload(shared)
        self._threads, self._device = threads, device
        self.stopped = False
        self._free: queue.LifoQueue[_Slot | None] = queue.LifoQueue()
        self._slots: set[_Slot] = set()
        self._started = False
        for _ in range(width):
            self._free.put(None)
        atexit.register(self.stop)

    def start(self) -> None:
        """Start every process now, for each takes seconds to import torch."""
        self._started = True
        free = []
        with suppress(queue.Empty):
            while True:
                free.append(self._free.get_nowait())
        for slot in free:
            if slot is None and not self.stopped:
                self._free.put(self._new_slot())
            else:
                self._free.put(slot)

    def _new_slot(self) -> _Slot:
        slot = _Slot(self._threads, self._device)
        self._slots.add(slot)
        slot.start()
        return slot

    def run(
        self,
        function: Callable[..., Any],
        arguments: dict[str, Any],
        on_event: OnEvent = lambda event: None,
    ) -> Any:
        """Compute ``function(**arguments)`` in a free slot; events reach ``on_event`` here.

        Raises what the function raises, or WorkerDiedError if its process ended.
        """
        slot = self._free.get()
        try:
            if self.stopped:
                raise WorkerDiedError("the run was stopped")
            slot = slot or self._new_slot()
            if not self._started:
                self.start()  # where one task computes, others most often do
            return slot.run(function, arguments, on_event)
        except (BrokenProcessPool, EOFError):
            if slot is not None:
                slot.kill()
                self._slots.discard(slot)
            slot = None
            raise WorkerDiedError("the worker process was killed or ran out of memory") from None
        finally:
            self._free.put(slot)

    def listen(self, session: Any) -> None:
        """Nothing to do: events reach whoever called ``run``."""

    def stop(self) -> None:
        """Kill every worker process at once; running computations fail."""
        self.stopped = True
        for slot in list(self._slots):
            slot.kill()
        self._slots.clear()


_early: WorkerProcesses | None = None
_taken = False
_turn = threading.Lock()


def start_early(workers: WorkerProcesses) -> None:
    """Start the processes before the flow runs, which takes these workers; too late is no harm."""
    global _early
    with _turn:
        if not _taken:
            _early = workers
            workers.start()


def workers_for(width: int, threads: int, device: Device) -> WorkerProcesses:
    """Workers for one invocation: those that were started early, if there are any."""
    global _early, _taken
    with _turn:
        workers, _early, _taken = _early, None, True
    return workers or WorkerProcesses(width, threads, device)
