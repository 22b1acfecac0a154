"""The tracker: what a study logs, handed to MLflow by a thread of its own.

No computation waits for MLflow. What it does not take is tried again every other second; what it
has not taken when the invocation ends stays in the spool, for the next run or ``study sync``.
"""

import getpass
import threading
import time
import warnings
from contextlib import suppress
from itertools import count
from queue import Queue
from typing import TYPE_CHECKING, Any

from tasks.cache import store
from tasks.cache.entry import Entry
from tasks.cache.provenance import provenance
from tasks.system.polling import wait_until
from tasks.tracking.config import mlflow_config
from tasks.tracking.run_plan import RunPlan
from tasks.tracking.spool import Operation, Spool, left_spools

if TYPE_CHECKING:
    from tasks.tracking.writer import Writer


RETRY_SECONDS = 2.0
PATIENCE_SECONDS = 25.0  # that an invocation waits for MLflow in all
POLL_SECONDS = 0.02


class Tracker:
    """Logs one invocation of a study to MLflow. Call its methods from any thread."""

    def __init__(self, study: str, invocation: str):
        self.study, self.invocation = study, invocation
        self.trouble = ""  # why MLflow did not take the last operation
        self._entries: dict[str, Entry] = {}
        self._spool = Spool(invocation)
        self._spool.take()
        self._turn = threading.Lock()
        self._queue: Queue[Operation] = Queue()
        self._patience = PATIENCE_SECONDS
        self._damaged = False  # the database is: there is nothing to wait for
        self._stopped = threading.Event()
        self._writer: Writer | None = None
        self._monitor: Any = None
        self._put("log_what_was_left", kept=False)
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def start_study(self, parameters: dict[str, Any]) -> None:
        """Open the parent run of this invocation."""
        self._put("start_study", parameters=parameters, source=_source())

    def begin(self, plan: RunPlan) -> None:
        """A computation starts: its run is open, and belongs to this invocation."""
        if plan.kind:
            self._put("begin", plan=plan, kept=False)

    def log_epoch(self, plan: RunPlan, event: dict[str, Any]) -> None:
        """One epoch's losses, once even if the epoch is trained again after a failure."""
        self._put("log_epoch", plan=plan, event=event, kept=False)

    def log_entry(self, plan: RunPlan, entry: Entry) -> None:
        """Everything an entry shows: parameters, metrics, curves, files; once only."""
        self._remember([entry])
        self._put("log_entry", plan=plan, entry=_name(entry), fingerprint=entry.fingerprint)

    def fail(self, plan: RunPlan, status: str = "FAILED") -> None:
        """Close the run of a computation that failed, unless it shows an earlier outcome."""
        self._put("fail", plan=plan, status=status)

    def log_summary(self, report: Entry, groups: dict[str, list[Entry]], note: str) -> None:
        """The report's files and numbers, and every model used, on the parent run.

        ``note`` is what the page says of this invocation, without the link to its run.
        """
        self._remember([report, *(entry for entries in groups.values() for entry in entries)])
        named = {group: [_name(entry) for entry in entries] for group, entries in groups.items()}
        self._put("log_summary", report=_name(report), groups=named, note=note)

    def finish_study(self, status: str, metrics: dict[str, float], tags: dict[str, str]) -> None:
        """Close the parent run with its counts; waits for MLflow, but not for long.

        What it does not take stays in the spool, and a warning says so.
        """
        self._put("finish_study", status=status, metrics=metrics, tags=tags)
        if self.wait():
            self._spool.remove()
        else:
            left = self._queue.unfinished_tasks
            why = self.trouble or "it takes long to answer"
            warnings.warn(
                f"{left} things to log are not in MLflow yet ({why}); the next run logs them, "
                "or: study sync",
                stacklevel=2,
            )
        self._stopped.set()
        self._spool.leave()

    def wait(self) -> bool:
        """Wait until everything is logged; False once patience is at an end."""
        started = time.monotonic()
        wait_until(self._nothing_to_wait_for, self._patience, POLL_SECONDS)
        self._patience -= time.monotonic() - started
        return not self._queue.unfinished_tasks

    def _nothing_to_wait_for(self) -> bool:
        logged = not self._queue.unfinished_tasks
        return logged or not self._thread.is_alive() or self._damaged

    def addresses(self, keys: set[str]) -> dict[str, str]:
        """Where MLflow shows the runs of entries with these keys, and the parent run as ``""``.

        Nothing while it does not answer.
        """
        from tasks.tracking.client import TrackingError

        if self.wait() and self._writer is not None:
            with suppress(TrackingError):
                return self._writer.addresses(keys)
        return {}

    def interrupt(self) -> None:
        """Close every run of this invocation that is still open as KILLED, now or later."""
        from tasks.tracking.client import TrackingError, close_open_runs, connect

        self._stopped.set()
        complete = not self._queue.unfinished_tasks
        self._spool.add({"do": "close"})
        self._thread.join(1)
        with suppress(TrackingError):
            close_open_runs(connect(), self.invocation)
            if complete:
                self._spool.remove()
        self._spool.leave()

    def _put(self, do: str, kept: bool = True, **arguments: Any) -> None:
        if "plan" in arguments:
            arguments["plan"] = arguments["plan"]._asdict()
        with self._turn:  # the spool and the queue have the same order
            operation = {"do": do, "at": int(time.time() * 1000), **arguments}
            if kept:
                self._spool.add(operation)
            self._queue.put(operation)

    def _remember(self, entries: list[Entry]) -> None:
        self._entries.update((entry.key, entry) for entry in entries)

    def _find(self, name: list[str]) -> Entry | None:
        task, key = name
        entry = self._entries.get(key)
        return store.ensure_local(entry) if entry else store.load(task, key)

    def _work(self) -> None:
        while True:
            operation = self._queue.get()
            for attempt in count():
                if self._stopped.is_set():
                    return
                if self._apply(operation, attempt):
                    break
                self._stopped.wait(RETRY_SECONDS)
            self._queue.task_done()

    def _apply(self, operation: Operation, attempt: int) -> bool:
        """Try one operation; False if trying it again may help.

        What MLflow refuses for good is tried once more with what it holds read anew.
        """
        from tasks.tracking.client import TrackingError
        from tasks.tracking.writer import Writer, watch_system

        do = operation["do"]
        try:
            if do == "log_what_was_left":
                sync()
            else:
                if self._writer is None:
                    self._writer = Writer(self.study, self.invocation, self._find)
                if do == "finish_study" and self._monitor is not None:
                    self._monitor.finish()
                self._writer.apply(operation)
                if do == "start_study" and mlflow_config().system_metrics:
                    self._monitor = watch_system(str(self._writer.parent_id))
            self.trouble = ""
            return True
        except TrackingError as error:
            self._writer, self.trouble = None, str(error)
            self._damaged = error.damaged
            # what an earlier run left may fail for reasons of its own, and holds nothing else up
            if attempt == 0 or not (error.refused or do == "log_what_was_left"):
                return False
            warnings.warn(str(error), stacklevel=2)
            return True
        except Exception as error:  # a mistake of this program must not end the thread
            warnings.warn(f"not logged to MLflow: {type(error).__name__}: {error}", stacklevel=2)
            return True


def sync() -> int:
    """Log what earlier invocations left, each thing once; how many invocations that was.

    Raises TrackingError if MLflow does not take all of it now.
    """
    from tasks.tracking.client import TrackingError

    logged, troubles = 0, []
    for spool in left_spools():
        try:
            logged += _sync(spool)
        except TrackingError as error:  # another may have another place for its files
            troubles.append(error)
    if troubles:
        raise troubles[0]
    return logged


def _sync(spool: Spool) -> bool:
    from tasks.tracking.client import TrackingError
    from tasks.tracking.writer import Writer

    with spool.taken() as taken:
        if not taken or not spool.path.exists():
            return False
        operations = spool.read()
        studies = [one["parameters"]["name"] for one in operations if one["do"] == "start_study"]
        if studies:
            writer = Writer(studies[0], spool.invocation, lambda name: store.load(*name))
            for operation in operations:
                try:
                    writer.apply(operation)
                except TrackingError as error:
                    if not error.refused:
                        raise
                    warnings.warn(str(error), stacklevel=2)
        spool.remove()
        return True


def mark_dead(invocation: str) -> None:
    """The process of this invocation died; its open runs are closed with what is left to log."""
    Spool(invocation).add({"do": "close"})


def _name(entry: Entry) -> list[str]:
    return [entry.task, entry.key]


def _source() -> dict[str, str]:
    """What MLflow shows as source, version and user of a run."""
    found = {"mlflow.source.name": "study", "mlflow.source.type": "LOCAL"}
    commit = provenance()["commit"]
    if commit:
        found["mlflow.source.git.commit"] = commit.removesuffix("-dirty")
    with suppress(OSError, KeyError):  # a container may have no user
        found["mlflow.user"] = getpass.getuser()
    return found
