"""The content store: ``STUDY_HOME/store/<task>/<key>/``, published whole or not at all.

An entry is files and a manifest with a SHA-256 for each. It is written in a temporary folder and
renamed into place; every read verifies it, and a damaged entry is set aside to be computed again.
What is not here may be in the store that a team shares, and is copied from there.
"""

import errno
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from filelock import FileLock

from tasks.cache import shared_store
from tasks.cache.entry import MANIFEST, Entry, entry_folder, find_damage, seal, unseal
from tasks.system.files import flush
from tasks.system.folders import study_home
from tasks.system.locks import held_if_free


def inspect(task: str, key: str) -> tuple[Entry | None, str]:
    """The verified entry, or None and the name of the file that is damaged or missing, if any."""
    folder = entry_folder(task, key)
    if not folder.is_dir():
        return None, ""
    try:
        entry = unseal((folder / MANIFEST).read_bytes(), task, key)
    except OSError:
        entry = None
    if entry is None:
        return None, MANIFEST
    damaged = find_damage(entry, folder)
    return (None, damaged) if damaged else (entry, "")


def load(task: str, key: str) -> Entry | None:
    """The verified entry, or None. A damaged one moves to ``store/quarantine/`` with a warning.

    It is copied here if only the shared store has it.
    """
    entry, damaged = inspect(task, key)
    if damaged:
        set_aside(entry_folder(task, key), f"store entry damaged: {damaged} of {task}/{key[:12]}")
    return entry or _fetch(task, key)


def ensure_local(entry: Entry) -> Entry:
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


def find_shared(task: str, key: str) -> Entry | None:
    """The entry as the shared store's manifest describes it, without its files."""
    text = shared_store.read(task, key, MANIFEST)
    return None if text is None else unseal(text, task, key)


def _fetch(task: str, key: str) -> Entry | None:
    entry = find_shared(task, key)
    if entry is None:
        return None
    parent = study_home() / "store" / "tmp"
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary) / key
        folder.mkdir()
        if not shared_store.fetch(task, key, list(entry.files), folder):
            return None
        damaged = find_damage(entry, folder)
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
    """Seal the files of a folder and rename it to the entry's place, in place of an earlier one."""
    seal(folder, entry)
    final = entry_folder(entry.task, entry.key)
    final.parent.mkdir(parents=True, exist_ok=True)
    replaced = folder.with_name(f"{folder.name}-replaced")
    if final.exists():  # computed again on request; a kill in between computes it once more
        final.rename(replaced)
    folder.rename(final)
    flush(final.parent)
    shutil.rmtree(replaced, ignore_errors=True)
