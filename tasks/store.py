"""The content store: ``STUDY_HOME/store/<task>/<key>/``, published whole or not at all.

An entry is files and a manifest with a SHA-256 for each. It is written in a temporary folder and
renamed into place; every read verifies it, and a damaged entry is set aside to be computed again.
What is not here may be in the store that a team shares, and is copied from there.
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, field_validator

from tasks import shared_store
from tasks.canonical import digest
from tasks.home import study_home
from tasks.locks import held_if_free

MANIFEST = "manifest.json"


class Entry(BaseModel):
    """One finished task: what it was asked, what it returned, which files it left."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    key: str
    name: str
    inputs: dict[str, Any]
    code: dict[str, str]
    result: dict[str, Any]
    files: dict[str, str]
    seconds: float
    provenance: dict[str, Any]

    @field_validator("files")
    @classmethod
    def _inside(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise ValueError(f"{name!r} is outside the entry")
        return files

    @property
    def fingerprint(self) -> str:
        """Digest of the content; equal for equal answers, however and whenever computed."""
        return digest([self.task, self.result, self.files])

    @property
    def folder(self) -> Path:
        """Where the entry lies now; the store may be moved between runs."""
        return entry_folder(self.task, self.key)

    def path(self, name: str) -> Path:
        """A file of the entry."""
        return self.folder / name


def entry_folder(task: str, key: str) -> Path:
    """Where the entry of a task with this key lies, or would."""
    return study_home() / "store" / task / key


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unsealed(text: str | bytes, task: str, key: str) -> Entry | None:
    """The entry of a manifest, None if it is damaged or that of another task."""
    try:
        sealed = json.loads(text)
        entry = Entry.model_validate(sealed["entry"])
        intact = sealed["sha256"] == digest(entry.model_dump(mode="json"))
    except (ValueError, KeyError, TypeError):
        return None
    return entry if intact and (entry.task, entry.key) == (task, key) else None


def _damage(entry: Entry, folder: Path) -> str:
    """The name of the first file that is damaged or missing, if any."""
    for name, sha256 in entry.files.items():
        path = folder / name
        if not path.is_file() or sha256_of(path) != sha256:
            return name
    return ""


def inspect(task: str, key: str) -> tuple[Entry | None, str]:
    """The verified entry, or None and the name of the file that is damaged or missing, if any."""
    folder = entry_folder(task, key)
    if not folder.is_dir():
        return None, ""
    try:
        entry = _unsealed((folder / MANIFEST).read_bytes(), task, key)
    except OSError:
        entry = None
    if entry is None:
        return None, MANIFEST
    damaged = _damage(entry, folder)
    return (None, damaged) if damaged else (entry, "")


def load(task: str, key: str) -> Entry | None:
    """The verified entry, or None. A damaged one moves to ``store/quarantine/`` with a warning.

    It is copied here if only the shared store has it.
    """
    entry, damaged = inspect(task, key)
    if damaged:
        set_aside(entry_folder(task, key), f"store entry damaged: {damaged} of {task}/{key[:12]}")
    return entry or _fetch(task, key)


def bring(entry: Entry) -> Entry:
    """The entry with its files here, which a worker elsewhere may have written.

    Raises FileNotFoundError if neither this store nor the shared one has them.
    """
    if not entry.files or entry.folder.is_dir():
        return entry
    found = load(entry.task, entry.key)
    if found is None:
        raise missing(entry)
    return found


def missing(entry: Entry) -> FileNotFoundError:
    """What to raise where an entry is in no store."""
    return FileNotFoundError(
        f"{entry.name} is not in {entry.folder}; name the same folder in STUDY_HOME on every "
        "machine, or a store for all in STUDY_STORE"
    )


def shared(task: str, key: str) -> Entry | None:
    """The entry as the shared store's manifest tells, its files unseen."""
    text = shared_store.read(task, key, MANIFEST)
    return None if text is None else _unsealed(text, task, key)


def _fetch(task: str, key: str) -> Entry | None:
    entry = shared(task, key)
    if entry is None:
        return None
    parent = study_home() / "store" / "tmp"
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary) / key
        folder.mkdir()
        if not shared_store.fetch(task, key, list(entry.files), folder):
            return None
        damaged = _damage(entry, folder)
        if damaged:
            place = f"{damaged} of {task}/{key[:12]}"
            warnings.warn(f"STUDY_STORE: {place} is damaged; it is computed again", stacklevel=2)
            return None
        try:
            _settle(folder, entry)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
            return inspect(task, key)[0]  # another process was faster
    return entry


def set_aside(path: Path, problem: str) -> None:
    """Move what is damaged to ``store/quarantine/``, and say so."""
    aside = study_home() / "store" / "quarantine" / f"{time.time_ns()}-{path.name}"
    aside.parent.mkdir(parents=True, exist_ok=True)
    path.rename(aside)
    warnings.warn(f"{problem}; moved to {aside}, it will be computed again", stacklevel=2)


def _lock(task: str, key: str) -> FileLock:
    """The lock of a key."""
    folder = study_home() / "store" / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{task}-{key}.lock", thread_local=False)


@contextmanager
def locked(task: str, key: str) -> Iterator[None]:
    """Hold the lock of a key."""
    with _lock(task, key):
        yield


def locked_if_free(task: str, key: str) -> AbstractContextManager[bool]:
    """Hold the lock of a key unless somebody does already; whether it is held."""
    return held_if_free(_lock(task, key))


def flush(path: Path) -> None:
    """Make a file or a folder's list of names durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def workspace(task: str, key: str) -> Iterator[Path]:
    """A temporary folder beside the final one, removed unless it is published.

    Hold the key's lock: what a killed process left behind for this key is removed.
    """
    parent = study_home() / "store" / "tmp"
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f"{task}-{key}-*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{task}-{key}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, entry: Entry) -> None:
    """Seal the files of a workspace with a manifest and move them to their place.

    The shared store is given them, too.
    """
    _settle(folder, entry)
    shared_store.offer(entry.task, entry.key, [*entry.files, MANIFEST], entry.folder)


def _settle(folder: Path, entry: Entry) -> None:
    for name in entry.files:
        flush(folder / name)
    content = entry.model_dump(mode="json")
    sealed = {"entry": content, "sha256": digest(content)}
    manifest = folder / MANIFEST
    manifest.write_text(json.dumps(sealed, indent=1), encoding="utf-8")
    flush(manifest)
    final = entry_folder(entry.task, entry.key)
    final.parent.mkdir(parents=True, exist_ok=True)
    replaced = folder.with_name(f"{folder.name}-replaced")
    if final.exists():  # computed again on request; a kill in between computes it once more
        final.rename(replaced)
    folder.rename(final)
    flush(final.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def files_in(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by relative name."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths}
