"""The tracker logs a study to MLflow in a thread of its own, so that no computation waits for it.

An operation that fails is tried again every two seconds. Operations that are not logged when the
invocation ends stay in the spool, for the next run or ``study sync``.
"""

import getpass
import threading
import time
import warnings
from contextlib import suppress
from itertools import count
from queue import Queue
from typing import TYPE_CHECKING

from tasks.cache import store
from tasks.cache.canonical import JsonObject
from tasks.cache.entry import Entry
from tasks.cache.provenance import provenance
from tasks.reporting.page import PageNote
from tasks.system.disk_errors import DiskError
from tasks.system.polling import wait_until
from tasks.tracking.config import mlflow_config
from tasks.tracking.run_plan import RunPlan
from tasks.tracking.spool import Operation, Spool
from tasks.tracking.sync import sync

if TYPE_CHECKING:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    from tasks.tracking.writer import Writer


RETRY_SECONDS = 2.0
EPOCH_SECONDS = 2.0  # between two epochs of a run that are logged while it is trained
PATIENCE_SECONDS = 25.0  # the most that an invocation waits for MLflow in total
POLL_SECONDS = 0.02
NOT_IN_SPOOL = {"sync", "begin", "log_epoch"}  # nothing of these is lost: log_entry logs it


class Tracker:
    """Logs one invocation of a study to MLflow. Call its methods from any thread."""

    def __init__(self, study: str, invocation: str):
        self.study, self.invocation = study, invocation
        self.last_error = ""  # of the last operation, empty if it was logged
        self._entries: dict[str, Entry] = {}
        self._epoch_logged: dict[str, float] = {}  # when, by key
        self._spool = Spool(invocation)
        self._spool.lock()
        self._put_lock = threading.Lock()
        self._queue: Queue[Operation] = Queue()
        self._at = 0  # the time of the last operation
        self._patience = PATIENCE_SECONDS
        self._damaged = False  # whether the database is, so that waiting is of no use
        self._disk = ""  # why the database cannot be written, as a DiskError
        self._kept = False  # whether an operation failed that a later version may log
        self._stopped = threading.Event()
        self._writer: Writer | None = None
        self._monitor: SystemMetricsMonitor | None = None
        self._put("sync")
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    @property
    def parent_id(self) -> str | None:
        """The id of this invocation's parent run in MLflow, if it is known."""
        return self._writer.parent_id if self._writer is not None else None

    def start_study(self, parameters: JsonObject, title: str = "") -> None:
        """Open the parent run of this invocation; ``title`` is its name."""
        named = parameters | {"name": self.study}  # by which a later process finds the experiment
        self._put("start_study", parameters=named, source=_source_tags(), title=title)

    def begin(self, plan: RunPlan) -> None:
        """Open the run of a computation that starts, below this invocation's parent run."""
        if plan.kind:
            self._put("begin", plan=plan)

    def log_epoch(self, plan: RunPlan, event: dict[str, float]) -> None:
        """Log the metrics of one epoch, once even if it is trained again after a failure.

        Epochs that follow within ``EPOCH_SECONDS`` are logged with the entry: one by one they would
        take longer than a small training.
        """
        now = time.monotonic()
        if now - self._epoch_logged.get(plan.key, -EPOCH_SECONDS) >= EPOCH_SECONDS:
            self._epoch_logged[plan.key] = now
            self._put("log_epoch", plan=plan, event=event)

    def log_entry(self, plan: RunPlan, entry: Entry) -> None:
        """Log an entry's parameters, metrics, epochs and files, once only."""
        self._remember([entry])
        self._put("log_entry", plan=plan, entry=_reference(entry), fingerprint=entry.fingerprint)

    def fail(self, plan: RunPlan, status: str = "FAILED") -> None:
        """Close the run of a computation that failed, unless the run shows an entry already."""
        self._put("fail", plan=plan, status=status)

    def log_summary(self, report: Entry, groups: dict[str, list[Entry]], note: PageNote) -> None:
        """Log the report's files and metrics, and a table of all models, to the parent run.

        ``note`` is what the page says about this invocation.
        """
        self._remember([report, *(entry for entries in groups.values() for entry in entries)])
        references = {name: [_reference(one) for one in group] for name, group in groups.items()}
        self._put("log_summary", report=_reference(report), groups=references, note=note)

    def finish_study(self, status: str, metrics: dict[str, float], tags: dict[str, str]) -> None:
        """Close the parent run, and wait for MLflow at most for what is left of PATIENCE_SECONDS.

        Operations that are not logged by then stay in the spool, and a warning says so. Raises
        DiskError instead if the disk of MLflow's database is the reason.
        """
        self._put("finish_study", status=status, metrics=metrics, tags=tags)
        if self.wait():
            if not self._kept:
                self._spool.remove()
        elif self._disk:
            raise DiskError(f"MLflow: {self._disk}")
        else:
            left = self._queue.unfinished_tasks
            reason = self.last_error or "it takes long to answer"
            warnings.warn(
                f"{left} operations are not in MLflow yet ({reason}); the next run logs them, "
                "or: study sync",
                stacklevel=2,
            )
        self._stopped.set()
        self._spool.release()

    def wait(self) -> bool:
        """Wait until everything is logged; returns whether it is. PATIENCE_SECONDS is the limit."""
        started = time.monotonic()
        wait_until(self._may_stop_waiting, self._patience, POLL_SECONDS)
        self._patience -= time.monotonic() - started
        return not self._queue.unfinished_tasks

    def _may_stop_waiting(self) -> bool:
        all_logged = not self._queue.unfinished_tasks
        return all_logged or not self._thread.is_alive() or self._damaged

    def addresses(self, keys: set[str]) -> dict[str, str]:
        """The addresses of the runs of entries by their keys, and of the parent run as ``""``.

        A run that is not known is left out, and all are while MLflow does not answer.
        """
        from tasks.tracking.client import TrackingError

        if self.wait() and self._writer is not None:
            with suppress(TrackingError):
                return self._writer.addresses(keys)
        return {}

    def interrupt(self) -> None:
        """Close every open run of this invocation as KILLED, or leave that to the next run.

        It waits one second at most for the operation in progress.
        """
        from tasks.tracking.client import TrackingError, close_open_runs, connect

        self._stopped.set()
        complete = not self._queue.unfinished_tasks
        with suppress(OSError):  # the disk may be full or read-only
            self._spool.add({"do": "close"})
        self._thread.join(1)
        with suppress(TrackingError, OSError):
            close_open_runs(connect(), self.invocation)
            if complete and not self._kept:
                self._spool.remove()
        with suppress(OSError):
            self._spool.release()

    def _put(self, do: str, **arguments: object) -> None:
        """Add an operation to the queue, and to the spool if a later process is to log it too."""
        plan = arguments.get("plan")
        if isinstance(plan, RunPlan):
            arguments["plan"] = plan._asdict()
        with self._put_lock:  # the spool and the queue have the same order
            self._at = max(self._at, int(time.time() * 1000))  # the clock may be set back
            operation = {"do": do, "at": self._at, **arguments}
            if do not in NOT_IN_SPOOL:
                self._spool.add(operation)
            self._queue.put(operation)

    def _remember(self, entries: list[Entry]) -> None:
        self._entries.update((entry.key, entry) for entry in entries)

    def _find_entry(self, reference: list[str]) -> Entry | None:
        task, key = reference
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
        """Try one operation; returns False if it is to be tried again.

        An operation that MLflow refuses is tried once more, with a new writer that reads again what
        MLflow holds. Then a warning says that it is given up. One that fails by a programming error
        stays in the spool, with all others of this invocation.
        """
        from tasks.tracking.client import TrackingError
        from tasks.tracking.writer import Writer, start_system_monitor

        do = operation["do"]
        try:
            if do == "sync":
                sync()
            else:
                if self._writer is None:
                    self._writer = Writer(self.study, self.invocation, self._find_entry)
                if do == "finish_study" and self._monitor is not None:
                    self._monitor.finish()
                self._writer.apply(operation)
                if do == "start_study" and mlflow_config().system_metrics:
                    self._monitor = start_system_monitor(str(self._writer.parent_id))
            self.last_error, self._damaged, self._disk = "", False, ""
            return True
        except TrackingError as error:
            self._writer, self.last_error = None, str(error)
            self._damaged, self._disk = error.damaged, error.disk
            # a spool of an earlier run may fail for its own reasons, and must not block this run
            if attempt == 0 or not (error.refused or do == "sync"):
                return False
            warnings.warn(str(error), stacklevel=2)
            return True
        except Exception as error:  # a programming error must not end the thread
            self._kept |= do not in NOT_IN_SPOOL
            rest = "; study sync tries it again" if do not in NOT_IN_SPOOL else ""
            why = f"{type(error).__name__}: {error}"
            warnings.warn(f"not logged to MLflow: {do}: {why}{rest}", stacklevel=2)
            return True


def _reference(entry: Entry) -> list[str]:
    """An entry in an operation, which is JSON data: its task and key."""
    return [entry.task, entry.key]


def _source_tags() -> dict[str, str]:
    """The tags that MLflow shows as source, version and user of a run."""
    found = {"mlflow.source.name": "study", "mlflow.source.type": "LOCAL"}
    commit = provenance()["commit"]
    if commit:
        found["mlflow.source.git.commit"] = commit.removesuffix("-dirty")
    with suppress(OSError, KeyError):  # a container may have no user
        found["mlflow.user"] = getpass.getuser()
    return found
