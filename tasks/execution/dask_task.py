"""A task on a Dask worker, for an invocation that runs elsewhere.

The Prefect task carries a context. With it the worker opens a session for the task, whose record,
display and tracker send every call to the invocation. Warnings go the same way.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any, cast

from tasks.artifacts.worker import use_worker
from tasks.cache.code_digest import read_code
from tasks.cache.step import Step
from tasks.execution.dask_messages import Relay
from tasks.execution.exact_code import CodeChangedError, code_difference
from tasks.execution.seed_stacks import SeedStacks
from tasks.execution.session import Session, of_task, task_session
from tasks.execution.workers import OnEvent, WorkerDiedError
from tasks.system.addresses import without_credentials
from tasks.system.folders import default_folders
from tasks.system.hardware import Device

STOP_SECONDS = 1.0  # between two questions whether to stop: each goes to the scheduler and back
_turn = Lock()


@dataclass(frozen=True, eq=False)
class DaskContext:
    """What a task must know of its invocation.

    ``folders`` are those to use where the worker names none. ``forced`` names the tasks to compute
    though they are in the store.
    """

    invocation: str
    folders: dict[str, str]
    forced: frozenset[str]
    threads: int
    device: Device

    @contextmanager
    def session(self, step: Step, code: dict[str, str]) -> Iterator[None]:
        """A session for one task on this worker.

        Raises CodeChangedError if the worker runs other code than the invocation.
        """
        from distributed import get_worker

        worker = get_worker()
        _check_code(worker.address, step, code)

        def send(event: dict[str, Any]) -> None:
            worker.log_event(self.invocation, event)

        # a relay makes exactly the calls that these parts of a session have
        display, tracker, log = (cast(Any, Relay(p, send)) for p in ("display", "tracker", "log"))
        here = _ThisThread(self)
        session = Session(here, display, tracker, log, set(self.forced), SeedStacks(1))
        _send_warnings()
        with default_folders(self.folders), task_session(session):
            yield


def _check_code(address: str, step: Step, code: dict[str, str]) -> None:
    with _turn:
        _read_code_once()
        changed = code_difference(step.compute, code)
    if changed:
        raise CodeChangedError(
            f"the Dask worker {address} runs other code than this study "
            f"({', '.join(changed[:3])}); install the same version there and restart it"
        )


@cache
def _read_code_once() -> None:
    """Code that is edited from here on is not what this process runs."""
    read_code()


@cache
def _send_warnings() -> None:
    """From here on the warnings of a task go to its invocation, not to the worker's log."""
    show = warnings.showwarning

    def show_or_send(message: Warning | str, *place: Any, **more: Any) -> None:
        session = of_task.get()
        if session is None:
            show(message, *place, **more)
        else:
            session.display.warn(without_credentials(str(message)))

    warnings.showwarning = show_or_send


class _ThisThread:
    """Computes in the thread that asks: it is one of the worker's slots."""

    def __init__(self, context: DaskContext):
        self._context = context

    @property
    def stopped(self) -> bool:
        """Whether the invocation was interrupted."""
        from distributed import Event, get_client

        return bool(Event(self._context.invocation, client=get_client()).is_set())

    def run(
        self, function: Callable[..., Any], arguments: dict[str, Any], on_event: OnEvent
    ) -> Any:
        """Compute; an interrupted invocation stops it after an epoch."""
        asked = time.monotonic()

        def listen(event: Any) -> None:
            nonlocal asked
            on_event(event)
            if time.monotonic() - asked > STOP_SECONDS:
                asked = time.monotonic()
                if self.stopped:
                    raise WorkerDiedError("the run was stopped")

        use_worker(listen, self._context.threads, self._context.device)
        return function(**arguments)
