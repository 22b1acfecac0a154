"""Tasks that a Dask worker computes for an invocation that runs elsewhere.

A task carries an errand. With it the door opens a session on the worker, whose record, display and
tracker pass all they are told on to the invocation, in order, as events of the cluster. Warnings go
the same way.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any

from tasks.addresses import without_credentials
from tasks.code_digest import read_code
from tasks.home import default_folders, folders
from tasks.machine import Device
from tasks.run_plan import RunPlan
from tasks.session import Session, of_task, task_session
from tasks.stacks import Stacks
from tasks.step import CodeChangedError, Step, code_difference
from tasks.store import Entry
from tasks.workers import WorkerDiedError, compute_here

if TYPE_CHECKING:
    from distributed import Client

STOP_SECONDS = 1.0  # between two questions whether to stop: each goes to the scheduler and back
_turn = Lock()


@dataclass(frozen=True, eq=False)
class Errand:
    """What a task must know of its invocation: its folders where the worker names none, and how.

    ``forced`` names the tasks to compute though they are in the store.
    """

    invocation: str
    folders: dict[str, str]
    forced: frozenset[str]
    threads: int
    device: Device

    @contextmanager
    def session(self, name: str, step: Step, code: dict[str, str]) -> Iterator[None]:
        """A session for one task on this worker.

        Raises CodeChangedError if the worker runs other code than the invocation.
        """
        from distributed import get_worker

        worker = get_worker()
        _check_code(worker.address, step, code)

        def send(part: str, do: str, arguments: tuple[Any, ...]) -> None:
            told = {"part": part, "do": do, "arguments": [_packed(one) for one in arguments]}
            worker.log_event(self.invocation, told)

        display, tracker, log = (_relay(send, part) for part in ("display", "tracker", "log"))
        here = _ThisThread(self)
        session = Session(here, display, tracker, log, set(self.forced), Stacks(1))
        _send_warnings()
        with default_folders(self.folders), task_session(session):
            yield


def _check_code(address: str, step: Step, code: dict[str, str]) -> None:
    with _turn:
        _fix_code()
        changed = code_difference(step.compute, code)
    if changed:
        raise CodeChangedError(
            f"the Dask worker {address} runs other code than this study "
            f"({', '.join(changed[:3])}); install the same version there and restart it"
        )


@cache
def _fix_code() -> None:
    """Code that is edited from here on is not what this process runs."""
    read_code()


@cache
def _send_warnings() -> None:
    """From here on the warnings of a task are told to its invocation, not to the worker's log."""
    show = warnings.showwarning

    def show_or_send(message: Warning | str, *place: Any, **more: Any) -> None:
        session = of_task.get()
        if session is None:
            show(message, *place, **more)
        else:
            session.display.warn(without_credentials(str(message)))

    warnings.showwarning = show_or_send


class _Relay:
    def __init__(self, send: Callable[..., None], part: str):
        self._send, self._part = send, part

    def __getattr__(self, do: str) -> Any:
        return lambda *arguments, **named: self._send(self._part, do, (*arguments, named))


def _relay(send: Callable[..., None], part: str) -> Any:
    """Stands for a part of the invocation's session: what it is told, it sends."""
    return _Relay(send, part)


class _ThisThread:
    """Computes in the thread that asks: it is one of the worker's slots."""

    def __init__(self, errand: Errand):
        self._errand = errand

    @property
    def stopped(self) -> bool:
        """Whether the invocation was interrupted."""
        from distributed import Event, get_client

        return bool(Event(self._errand.invocation, client=get_client()).is_set())

    def run(self, function: Any, arguments: dict[str, Any], on_event: Any) -> Any:
        """Compute; an interrupted invocation stops it behind an epoch."""
        asked = time.monotonic()

        def listen(event: Any) -> None:
            nonlocal asked
            on_event(event)
            if time.monotonic() - asked > STOP_SECONDS:
                asked = time.monotonic()
                if self.stopped:
                    raise WorkerDiedError("the run was stopped")

        compute_here(listen, self._errand.threads, self._errand.device)
        return function(**arguments)


def _packed(value: Any) -> Any:
    if isinstance(value, RunPlan):
        return {"run plan": value._asdict()}
    if isinstance(value, Entry):
        return {"entry": value.model_dump(mode="json")}
    return value


def _unpacked(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"run plan"}:
        return RunPlan(**value["run plan"])
    if isinstance(value, dict) and value.keys() == {"entry"}:
        return Entry.model_validate(value["entry"])
    return value


class DaskWorkers:
    """The workers of a cluster, in the session of the invocation that they compute for."""

    def __init__(
        self, client: "Client", invocation: str, forced: set[str], threads: int, device: Device
    ):
        from distributed import Event

        self.errand = Errand(invocation, folders(), frozenset(forced), threads, device)
        self.stopped = False
        self._client, self._stop = client, Event(invocation, client=client)

    def listen(self, session: Session) -> None:
        """Pass on what the tasks tell."""

        def hear(event: tuple[float, dict[str, Any]]) -> None:
            told = event[1]
            *arguments, named = (_unpacked(value) for value in told["arguments"])
            getattr(getattr(session, told["part"]), told["do"])(*arguments, **named)

        self._client.subscribe_topic(self.errand.invocation, hear)

    def stop(self) -> None:
        """Have running computations end behind their epoch."""
        if not self.stopped:
            self.stopped = True
            with suppress(Exception):  # the cluster may be gone
                self._client.unsubscribe_topic(self.errand.invocation)
                self._stop.set()
