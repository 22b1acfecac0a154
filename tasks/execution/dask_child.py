"""A computation in a process of its own, which a Dask worker starts and ends."""

import atexit
import multiprocessing
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, cast

from tasks.artifacts.worker import Event, Listener, send_event
from tasks.execution.worker_processes import WorkerProcesses
from tasks.execution.workers import Returned, WorkerDiedError
from tasks.system.folders import default_folders
from tasks.system.hardware import Device

WARNING = "warning"  # the name of an event that is a text to warn of
_starting = threading.Lock()


def run_in_child(
    function: Callable[..., Returned],
    arguments: Mapping[str, object],
    on_event: Listener,
    threads: int,
    device: Device,
    folders: dict[str, str],
    is_stopped: Callable[[], bool],
    check_seconds: float,
) -> Returned:
    """Compute ``function(**arguments)`` in a new process, and pass its events to ``on_event``.

    Its warnings are warned of here. ``folders`` are those of ``default_folders``.

    Raises what the function raises, or WorkerDiedError if the process ended, or as soon as
    ``is_stopped``, which is asked once in ``check_seconds`` seconds.
    """

    def listen(event: Event) -> None:
        if WARNING in event:
            # shown as it is: the child has left out what was said before
            warnings.showwarning(str(event[WARNING]), UserWarning, __file__, 0)
        else:
            on_event(event)

    workers = WorkerProcesses(1, threads, device, shares_machine=True)
    ended = threading.Event()
    try:
        with _may_start_processes():
            workers.start()
        watch = workers, is_stopped, check_seconds, ended
        threading.Thread(target=_stop_with_invocation, args=watch, daemon=True).start()
        call = {"function": function, "arguments": arguments, "folders": folders}
        returned: Returned = workers.run(_compute, call, listen)
        return returned
    except WorkerDiedError as error:
        raise WorkerDiedError("the run was stopped") if workers.stopped else error from None
    finally:
        ended.set()
        workers.stop()
        atexit.unregister(workers.stop)


def _stop_with_invocation(
    workers: WorkerProcesses,
    is_stopped: Callable[[], bool],
    check_seconds: float,
    ended: threading.Event,
) -> None:
    with suppress(Exception):  # the cluster may be gone; then Dask ends this process, too
        while not ended.wait(check_seconds):
            if is_stopped():
                workers.stop()
                return


@contextmanager
def _may_start_processes() -> Iterator[None]:
    """Let this process start others, which multiprocessing refuses in daemons.

    Dask's nannies start their workers as daemons. A process that is started here ends with them all
    the same: each of our worker processes ends when its parent does.
    """
    with _starting:
        config = cast(Any, multiprocessing.current_process())._config
        daemon = config.pop("daemon", None)
        try:
            yield
        finally:
            if daemon is not None:
                config["daemon"] = daemon


def _compute(
    function: Callable[..., Returned], arguments: Mapping[str, object], folders: dict[str, str]
) -> Returned:
    warnings.showwarning = _send_warning
    with default_folders(folders):
        return function(**arguments)


def _send_warning(message: Warning | str, *_: object, **__: object) -> None:
    send_event(cast(Event, {WARNING: str(message)}))
