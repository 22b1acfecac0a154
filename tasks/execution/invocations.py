"""The record of every invocation of a study: a file of JSON lines that grows while it runs.

The file is ``STUDY_HOME/invocations/<id>.jsonl``. Each line is merged into the lines before it, so
a kill loses at most the line that was being written. An invocation holds a lock while its process
lives; if the lock of an unfinished invocation is free, its process died.
"""

import secrets
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock
from pydantic import BaseModel, ConfigDict

from tasks.system import json_lines
from tasks.system.folders import study_home
from tasks.system.locks import try_lock

DIED = "its process ended without an explanation"  # killed, or the machine went down
State = Literal["RUNNING", "COMPLETED", "FAILED", "CANCELLED", "CRASHED"]


class TaskRecord(BaseModel):
    """How one task of an invocation ended; without an outcome it did not end."""

    model_config = ConfigDict(frozen=True)

    task: str = ""
    key: str = ""
    outcome: Literal["", "done", "cached", "failed", "skipped"] = ""
    reason: str = ""


class Invocation(BaseModel):
    """One invocation of a study. Times are seconds since 1970."""

    model_config = ConfigDict(frozen=True)

    id: str
    study: str
    config: dict[str, object]
    sections: list[str]
    started: float
    ended: float | None = None
    state: State = "RUNNING"
    message: str = ""
    flow_run_id: str | None = None
    tasks: dict[str, TaskRecord] = {}

    @property
    def short_id(self) -> str:
        """When it started, to the second: the name that users give to commands."""
        return self.id[: len("YYYYmmdd-HHMMSS")]

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
        started = time.time()
        begun = datetime.fromtimestamp(started).strftime("%Y%m%d-%H%M%S-%f")
        self.id = f"{begun}-{study}-{secrets.token_hex(2)}"
        _folder().mkdir(parents=True, exist_ok=True)
        self._process_lock = _lock(self.id)
        self._process_lock.acquire()
        self.note(id=self.id, study=study, config=config, sections=sections, started=started)

    def note(self, **fields: object) -> None:
        """Add to the record."""
        json_lines.append(_path(self.id), fields)

    def task(self, name: str, **fields: object) -> None:
        """Add to the record of one task."""
        self.note(tasks={name: fields})

    def end(self, state: State, message: str) -> None:
        """Close the record."""
        self.note(state=state, message=message, ended=time.time())
        self._process_lock.release()
        Path(self._process_lock.lock_file).unlink(missing_ok=True)


def _read(path: Path) -> Invocation | None:
    merged: dict[str, Any] = {"tasks": {}}
    try:
        for fields in json_lines.read(path):
            for name, task in fields.pop("tasks", {}).items():
                merged["tasks"].setdefault(name, {}).update(task)
            merged.update(fields)
        return Invocation.model_validate(merged)
    except (OSError, ValueError):
        return None


def _alive(identifier: str) -> bool:
    with try_lock(_lock(identifier)) as free:
        return not free


def _current(path: Path) -> Invocation | None:
    """The record with its present state: CRASHED if its process died."""
    found = _read(path)
    if found is None or found.ended is not None:
        return found
    alive = _alive(found.id)
    if alive or found.state == "RUNNING":
        return found.model_copy(update={"state": "RUNNING" if alive else "CRASHED"})
    return found


def invocations(study: str | None = None) -> Iterator[Invocation]:
    """Every invocation of one study or of all, newest first; CRASHED if its process died."""
    for path in sorted(_folder().glob("*.jsonl"), reverse=True):
        if study is not None and f"-{study}-" not in path.name:
            continue
        found = _current(path)
        if found is not None and study in (None, found.study):
            yield found


def open_invocations() -> Iterator[Invocation]:
    """The invocations that are running, or whose process died before it closed its runs.

    Each still has its lock file, so no other record is read.
    """
    for path in sorted(_folder().glob("*.lock")):
        found = _current(path.with_suffix(".jsonl"))
        if found is not None and found.ended is None:
            yield found


def close_invocation(found: Invocation) -> None:
    """Record that the runs of a dead invocation are closed; it needs no closing again."""
    message = found.message or DIED
    fields = {"state": found.state, "message": message, "ended": time.time()}
    json_lines.append(_path(found.id), fields)
    Path(_lock(found.id).lock_file).unlink(missing_ok=True)
