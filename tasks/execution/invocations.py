"""The record of every invocation of a study: a file of JSON lines that grows while it runs.

The file is ``STUDY_HOME/invocations/<id>.jsonl``. Each line is merged into the lines before it, so
a kill loses at most the line that was being written. An invocation holds a lock while its process
lives; if the lock of an unfinished invocation is free, its process died.
"""

import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.messages import cut, dotted_key, plain_message
from tasks.system import json_lines
from tasks.system.folders import STUDY_NAME, study_home
from tasks.system.invocation_names import begins_with, begun, in_order, new_name, short_name
from tasks.system.locks import invocation_lock, is_held

FORMAT = 2  # of a record; one without a format is of format 1, whose names hold the local time
DIED = "its process ended without an explanation"  # killed, or the machine went down
NAME_OR_NOTHING = r"^[A-Za-z0-9_]{0,64}$"  # as in the store
State = Literal["RUNNING", "COMPLETED", "FAILED", "CANCELLED", "CRASHED"]


class RunFailedError(RuntimeError):
    """A run ended, and some of its tasks failed. What was finished is kept."""


class TaskRecord(BaseModel):
    """How one task of an invocation ended; without an outcome it did not end.

    ``group`` is that in the report, if it is not the name of the step.
    """

    model_config = ConfigDict(frozen=True)

    task: str = Field("", pattern=NAME_OR_NOTHING)
    group: str = ""
    key: str = Field("", pattern=NAME_OR_NOTHING)
    outcome: Literal["", "done", "cached", "failed", "skipped"] = ""
    reason: str = ""


class Invocation(BaseModel):
    """One invocation of a study.

    ``started`` and ``ended`` are seconds since 1970, ``started`` at least a microsecond after that
    of every earlier one. ``seconds`` is how long it took by a clock that nobody sets.
    ``mlflow_run_id`` is that of the parent run; None if MLflow could not be reached.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    format: int = Field(1, strict=True, ge=1)
    id: str
    study: str = Field(pattern=STUDY_NAME)
    config: dict[str, object]
    sections: list[str]
    started: float = Field(ge=0, lt=2e11)
    ended: float | None = None
    seconds: float | None = None
    state: State = "RUNNING"
    message: str = ""
    flow_run_id: str | None = None
    mlflow_run_id: str | None = None
    tasks: dict[str, TaskRecord] = {}

    @property
    def short_id(self) -> str:
        """When it started, in UTC to the second: the name that users give to commands."""
        return short_name(int(self.started * 1_000_000))

    @property
    def duration(self) -> float | None:
        """How many seconds it took; None if that is not known, as after a kill."""
        if self.seconds is not None or self.format > 1 or self.ended is None:
            return self.seconds
        return self.ended - self.started if self.ended >= self.started else None

    @property
    def command(self) -> str:
        """The command that runs what is missing."""
        script = self.config.get("pipeline")
        return f"study rerun {self.study}" if script is None else f"python {script}"

    def count(self, outcome: str) -> int:
        """The number of tasks with this outcome."""
        return sum(record.outcome == outcome for record in self.tasks.values())

    @property
    def needs_closing(self) -> bool:
        """Whether its process died before it closed its runs in MLflow and Prefect."""
        return self.ended is None and self.state != "RUNNING"

    @property
    def unfinished(self) -> dict[str, TaskRecord]:
        """The tasks that failed, were skipped, or had not ended when the process ended."""
        finished = {"done", "cached"}
        return {name: task for name, task in self.tasks.items() if task.outcome not in finished}


def _folder() -> Path:
    return study_home() / "invocations"


def _path(identifier: str) -> Path:
    return _folder() / f"{identifier}.jsonl"


def _lock(identifier: str) -> FileLock:
    return FileLock(_folder() / f"{identifier}.lock", thread_local=False)


class InvocationLog:
    """Writes the record of the running invocation."""

    def __init__(self, study: str, config: dict[str, object], sections: list[str]):
        """Raises OSError if the record cannot be written; then there is none."""
        self._clock = time.monotonic()
        _folder().mkdir(parents=True, exist_ok=True)
        with invocation_lock():  # so that no two begin at the same time
            newest = max(map(begun, _records()), default=0)
            now = max(time.time_ns() // 1000, newest + 1)  # the clock may have been set back
            self.id = new_name(study, now)
            self._process_lock = _lock(self.id)
            self._process_lock.acquire()
            try:
                known = {"study": study, "config": config, "sections": sections}
                self.note(format=FORMAT, id=self.id, **known, started=now / 1_000_000)
            except OSError:
                _path(self.id).unlink(missing_ok=True)
                self._release()
                raise

    def note(self, **fields: object) -> None:
        """Add to the record."""
        json_lines.append(_path(self.id), fields)

    def task(self, name: str, **fields: object) -> None:
        """Add to the record of one task."""
        self.note(tasks={name: fields})

    def end(self, state: State, message: str) -> None:
        """Close the record."""
        seconds = time.monotonic() - self._clock
        self.note(state=state, message=message, ended=time.time(), seconds=seconds)
        self._release()

    def _release(self) -> None:
        self._process_lock.release()
        Path(self._process_lock.lock_file).unlink(missing_ok=True)


class UnreadableRecord(NamedTuple):
    """A record that this version cannot read, and why."""

    path: Path
    reason: str

    @property
    def id(self) -> str:
        """The id of its invocation."""
        return self.path.stem

    def __str__(self) -> str:
        return f"{self.path} {self.reason}"


def _records() -> list[Path]:
    return list(_folder().glob("*.jsonl"))


def _read(path: Path) -> Invocation | UnreadableRecord:
    merged: dict[str, Any] = {"tasks": {}}
    try:
        for fields in json_lines.read(path):
            tasks = fields.pop("tasks", {})
            merged.update(fields)
            for name, task in tasks.items():
                merged["tasks"].setdefault(name, {}).update(task)
        if _is_newer(merged.get("format")):
            return UnreadableRecord(path, "was written by a newer version of this project")
        # the file's name, which others use: a copy under another name is another invocation
        return Invocation.model_validate(merged | {"id": path.stem})
    except ValidationError as error:
        first = error.errors()[0]
        why = f"{dotted_key(first)}: {plain_message(first)}"
    except OSError as error:
        why = str(error.strerror)
    except UnicodeDecodeError:
        why = "not UTF-8"
    except (AttributeError, TypeError):
        why = "tasks: should hold keys and values"
    return UnreadableRecord(path, f"is damaged ({cut(why)})")


def _is_newer(number: object) -> bool:
    return isinstance(number, int) and number > FORMAT


def _current(path: Path) -> Invocation | UnreadableRecord:
    """The record with its present state: CRASHED if its process died."""
    found = _read(path)
    if isinstance(found, UnreadableRecord) or found.ended is not None:
        return found
    if is_held(path.with_suffix(".lock")):
        return found.model_copy(update={"state": "RUNNING"})
    found = _read(path)  # again, for it may have ended after it was read and before this look
    if isinstance(found, UnreadableRecord) or found.ended is not None or found.state != "RUNNING":
        return found
    return found.model_copy(update={"state": "CRASHED"})


def records(study: str | None = None) -> Iterator[Invocation | UnreadableRecord]:
    """Every invocation of one study or of all, newest first; CRASHED if its process died.

    A record that this version cannot read is among those of every study that its name may mean.
    """
    paths = [path for path in _records() if study is None or f"-{study}-" in path.name]
    for path in reversed(in_order(paths)):
        found = _current(path)
        if isinstance(found, UnreadableRecord) or study in (None, found.study):
            yield found


def invocations(study: str | None = None) -> Iterator[Invocation]:
    """As ``records``, but a record that cannot be read is left out, and a warning says so."""
    for found in records(study):
        if isinstance(found, Invocation):
            yield found
        else:
            warnings.warn(f"{found}; it is left out", stacklevel=2)


def records_named(start: str) -> list[Invocation | UnreadableRecord]:
    """The invocations whose name, or time in UTC, begins with this text, newest first."""
    found = [path for path in _records() if begins_with(path, start)]
    return [_current(path) for path in reversed(in_order(found))]


def open_invocations() -> Iterator[Invocation]:
    """The invocations that are running, or whose process died before it closed its runs.

    Each still has its lock file, so no other record is read.
    """
    paths = [path.with_suffix(".jsonl") for path in _folder().glob("*.lock")]
    for path in in_order(paths):
        found = _current(path)
        if isinstance(found, Invocation) and found.ended is None:
            yield found


def close_invocation(found: Invocation) -> None:
    """Record that the runs of a dead invocation are closed; it needs no closing again."""
    message = found.message or DIED
    fields = {"state": found.state, "message": message, "ended": time.time()}
    json_lines.append(_path(found.id), fields)
    Path(_lock(found.id).lock_file).unlink(missing_ok=True)
