"""A task on a Dask worker, while its invocation runs on another machine.

The Prefect task carries a context. With it the worker opens a session for the task. The record,
display and tracker of this session send every call to the invocation, and so do warnings.

If the study has code of a user, the task computes in a process of its own: that code can damage
nothing in the Dask worker, and its memory is free afterwards.
"""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from threading import Lock
from typing import TextIO, cast

from models.specs import ConfigError
from tasks.artifacts.worker import Event, Listener, configure_worker
from tasks.cache import signatures
from tasks.cache.step import Step
from tasks.code.code_digest import snapshot_code
from tasks.execution.dask_child import run_in_child
from tasks.execution.dask_messages import Message, Relay
from tasks.execution.exact_code import CodeChangedError, code_difference
from tasks.execution.seed_stacks import SeedStacks
from tasks.execution.session import (
    Session,
    TaskDisplay,
    TaskLog,
    TaskTracker,
    session_of_task,
    task_session,
)
from tasks.execution.workers import Returned, WorkerDiedError
from tasks.own_code.registry import Texts, codes_of
from tasks.system.addresses import without_credentials
from tasks.system.folders import default_folders
from tasks.system.hardware import Device

# Between two checks whether to stop. Each check is a request to the Dask scheduler.
STOP_CHECK_SECONDS = 1.0
_code_lock = Lock()


@dataclass(frozen=True, eq=False)
class DaskContext:
    """What a task needs to know of its invocation.

    ``folders`` holds a value for each folder variable that the worker does not set. ``forced``
    names the tasks to compute although they are in the store. ``signature`` is that of the
    invocation's id with the key of the shared store; None without a key. ``own_code`` is the user's
    code that tasks may run, as texts.
    """

    invocation: str
    signature: str | None
    folders: dict[str, str]
    forced: frozenset[str]
    threads: int
    device: Device
    own_code: Texts = field(default_factory=dict)

    @contextmanager
    def session(self, step: Step, code: dict[str, str]) -> Iterator[None]:
        """Open a session for one task on this worker.

        Raises CodeChangedError if the worker runs other code than the invocation, ConfigError if
        its entries would be refused for their signature.
        """
        from distributed import get_worker

        worker = get_worker()
        _check_code(worker.address, step, code)
        if signatures.sign(self.invocation) != self.signature:
            raise ConfigError(
                f"the Dask worker {worker.address} has another {signatures.VARIABLE} than this "
                "study; set the same there and restart it"
            )

        def send(message: Message) -> None:
            worker.log_event(self.invocation, message)

        # each relay has exactly the methods of the part that it replaces
        session = Session(
            workers=_ChildWorkers(self) if self.own_code else _SameThreadWorkers(self),
            display=cast(TaskDisplay, Relay("display", send)),
            tracker=cast(TaskTracker, Relay("tracker", send)),
            log=cast(TaskLog, Relay("log", send)),
            forced=set(self.forced),
            stacks=SeedStacks(1),
            own_codes=codes_of(self.own_code),
            has_own_files=False,
        )
        _send_warnings()
        with default_folders(self.folders), task_session(session):
            yield


def _check_code(address: str, step: Step, code: dict[str, str]) -> None:
    with _code_lock:
        _read_code_once()
        changed = code_difference(step.compute, code)
    if changed:
        raise CodeChangedError(
            f"the Dask worker {address} runs other code than this study "
            f"({', '.join(changed[:3])}); install the same version there and restart it"
        )


@cache
def _read_code_once() -> None:
    """Read all code now: what this process runs does not change when files are edited later."""
    snapshot_code()


@cache
def _send_warnings() -> None:
    """Send the warnings of tasks to their invocation from now on, not to the worker's log."""
    show = warnings.showwarning

    def show_or_send(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        session = session_of_task.get()
        if session is None:
            show(message, category, filename, lineno, file, line)
        else:
            session.display.warn(without_credentials(str(message)))

    warnings.showwarning = show_or_send


class _SameThreadWorkers:
    """Computes in the thread of the caller, which is a thread of the Dask worker."""

    def __init__(self, context: DaskContext):
        self._context = context

    @property
    def stopped(self) -> bool:
        """Whether the invocation was interrupted."""
        from distributed import Event, get_client

        return bool(Event(self._context.invocation, client=get_client()).is_set())

    def run(
        self,
        function: Callable[..., Returned],
        arguments: Mapping[str, object],
        on_event: Listener,
    ) -> Returned:
        """Compute ``function(**arguments)``.

        Raises WorkerDiedError after an epoch if the invocation was interrupted.
        """
        checked = time.monotonic()

        def listen(event: Event) -> None:
            nonlocal checked
            on_event(event)
            if time.monotonic() - checked > STOP_CHECK_SECONDS:
                checked = time.monotonic()
                if self.stopped:
                    raise WorkerDiedError("the run was stopped")

        configure_worker(listen, self._context.threads, self._context.device)
        return function(**arguments)


class _ChildWorkers(_SameThreadWorkers):
    """Computes in a process that is started for this and ends with it."""

    def run(
        self,
        function: Callable[..., Returned],
        arguments: Mapping[str, object],
        on_event: Listener,
    ) -> Returned:
        """Compute ``function(**arguments)``.

        Raises WorkerDiedError if the process ended, or soon after the invocation was interrupted.
        """
        from distributed import Event, get_client

        context = self._context
        is_stopped = Event(context.invocation, client=get_client()).is_set
        return run_in_child(
            function,
            arguments,
            on_event,
            context.threads,
            context.device,
            context.folders,
            is_stopped,
            STOP_CHECK_SECONDS,
        )
