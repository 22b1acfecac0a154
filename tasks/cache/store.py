"""The store of this machine: an entry is ``STUDY_HOME/store/<task>/<key>/``, published atomically.

An entry is files and a manifest with the SHA-256 of each. It is written in a temporary folder and
renamed into place. Every read verifies it; a damaged entry moves to quarantine and is computed
again. An entry that this store lacks is copied from the shared store, if that has it and all of its
files are of kinds that cannot run code.
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
from tasks.cache.entry import (
    LARGEST_FILE,
    LARGEST_MANIFEST,
    MANIFEST,
    Entry,
    UnusableEntryError,
    check_files,
    entry_folder,
    largest_size,
    read_manifest,
    write_manifest,
)
from tasks.cache.foreign_files import (
    LARGEST_OF_KIND,
    ForeignFileError,
    can_be_shared,
    check_format,
)
from tasks.system.files import flush, read_regular_file
from tasks.system.folders import study_home
from tasks.system.locks import try_lock


def inspect(task: str, key: str) -> tuple[Entry | None, str]:
    """The verified entry, or None and why it cannot be used.

    None and an empty text if there is no entry. Changes nothing, and ignores the shared store.
    """
    folder = entry_folder(task, key)
    if not folder.is_dir():
        return None, ""
    try:
        text = read_regular_file(folder / MANIFEST, LARGEST_MANIFEST, follow_links=False)
        entry = read_manifest(text, task, key)
        check_files(entry, folder)
    except OSError:
        return None, f"store entry damaged: {MANIFEST}"
    except UnusableEntryError as error:
        return None, str(error)
    return entry, ""


def load(task: str, key: str, *, shared: bool = True) -> Entry | None:
    """The verified entry, or None. It is copied here if only the shared store has it.

    An entry that cannot be used moves to ``store/quarantine/`` with a warning. Unless ``shared``
    the shared store is not asked.
    """
    entry, problem = inspect(task, key)
    if problem:
        quarantine(entry_folder(task, key), f"{problem} of {task}/{key[:12]}")
    return entry or (_copy_from_shared_store(task, key) if shared else None)


def ensure_local(entry: Entry) -> Entry:
    """The entry with its files in this store; a worker on another machine may have written them.

    Raises FileNotFoundError if neither this store nor the shared store has them.
    """
    if not entry.files or entry.folder.is_dir():
        return entry
    found = load(entry.task, entry.key)
    if found is None:
        raise missing_entry_error(entry)
    return found


def missing_entry_error(entry: Entry) -> FileNotFoundError:
    """The error for an entry that is in neither store."""
    return FileNotFoundError(
        f"{entry.name} is not in {entry.folder}; set STUDY_HOME to the same folder on every "
        "machine, or STUDY_STORE to a shared store"
    )


def find_shared(task: str, key: str) -> Entry | None:
    """The entry in the shared store's manifest, or None. Its files are neither read nor copied.

    A warning says why an entry cannot be used.
    """
    text = shared_store.read(task, key, MANIFEST, LARGEST_MANIFEST)
    if text is None:
        return None
    try:
        entry = read_manifest(text, task, key, foreign=True)
    except UnusableEntryError as error:
        _warn_of_shared(task, key, error)
        return None
    return entry if can_be_shared(entry.files) else None


def _warn_of_shared(task: str, key: str, error: Exception) -> None:
    warnings.warn(f"STUDY_STORE: {error} of {task}/{key[:12]}; it is computed again", stacklevel=3)


def _copy_from_shared_store(task: str, key: str) -> Entry | None:
    """Copy an entry to this store and verify it; None if that fails, with a warning if damaged."""
    entry = find_shared(task, key)
    if entry is None:
        return None
    parent = study_home() / "store" / "tmp"
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent, ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary) / key
        folder.mkdir()
        limits = {}
        for name in entry.files:
            of_kind = LARGEST_OF_KIND.get(Path(name).suffix, LARGEST_FILE)
            limits[name] = min(largest_size(entry, name), of_kind)
        if not shared_store.download(task, key, limits, folder):
            return None
        try:
            check_files(entry, folder)
            for name in entry.files:
                check_format(folder / name)
        except (UnusableEntryError, ForeignFileError) as error:
            _warn_of_shared(task, key, error)
            return None
        try:
            _move_into_place(folder, entry)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
            return inspect(task, key)[0]  # another process was faster
    return entry


def quarantine(path: Path, problem: str) -> None:
    """Move a damaged file or folder to ``store/quarantine/``, with a warning."""
    target = study_home() / "store" / "quarantine" / f"{time.time_ns()}-{path.name}"
    target.parent.mkdir(parents=True, exist_ok=True)
    path.rename(target)
    warnings.warn(f"{problem}; moved to {target}, it is computed again", stacklevel=2)


def _lock(task: str, key: str) -> FileLock:
    """The lock of a key, between processes and threads."""
    folder = study_home() / "store" / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{task}-{key}.lock", thread_local=False)


@contextmanager
def locked(task: str, key: str) -> Iterator[None]:
    """Hold the lock of a key. Waits until it is free."""
    with _lock(task, key):
        yield


def try_locked(task: str, key: str) -> AbstractContextManager[bool]:
    """Hold the lock of a key if it is free, without waiting; yields whether it is held."""
    return try_lock(_lock(task, key))


@contextmanager
def workspace(task: str, key: str) -> Iterator[Path]:
    """A temporary folder on the store's disk, removed at the end unless it was published.

    Call it with the key locked: it removes the folders that killed processes left for this key.
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
    """Move a workspace with an entry's files into the store, and copy them to the shared store.

    Raises OSError if they cannot be written to this store. Errors of the shared store only warn.
    """
    _move_into_place(folder, entry)
    if can_be_shared(entry.files) and all(s <= LARGEST_FILE for s in entry.sizes.values()):
        shared_store.upload(entry.task, entry.key, [*entry.files, MANIFEST], entry.folder)


def _move_into_place(folder: Path, entry: Entry) -> None:
    """Write the manifest and rename the folder to the entry's, which replaces an earlier one."""
    write_manifest(folder, entry)
    final = entry_folder(entry.task, entry.key)
    final.parent.mkdir(parents=True, exist_ok=True)
    replaced = folder.with_name(f"{folder.name}-replaced")
    if final.exists():  # computed again on request; after a kill right here it is computed again
        final.rename(replaced)
    folder.rename(final)
    flush(final.parent)
    shutil.rmtree(replaced, ignore_errors=True)
