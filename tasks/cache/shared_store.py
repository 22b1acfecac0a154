"""The shared store of a team: ``STUDY_STORE``, a folder or an address that fsspec can open.

It holds the same entries as the store of one machine. A machine copies from it what its own store
lacks, and copies to it what it computes. The manifest of an entry is copied last, so an entry with
a manifest is complete. What is read here may be written by anyone: every read has a limit, and only
regular files are read.
"""

import os
import secrets
import shutil
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

from models.specs import ConfigError
from tasks.cache import signatures
from tasks.system.addresses import without_credentials
from tasks.system.files import (
    UnusableFileError,
    open_folder_inside,
    open_regular_file,
    read_at_most,
)
from tasks.system.folders import shared_store_address

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


Use = Literal["read", "write"]
CHUNK = 1 << 20  # bytes
PAUSE_AFTER_FAILURE_SECONDS = 300.0  # an attempt may take minutes to fail
_paused_until: dict[tuple[str, Use], float] = {}  # by address, on the monotonic clock


class SharedEntry(ABC):
    """The place of one entry in the shared store. Every method raises errors of its file system."""

    @abstractmethod
    def open(self, name: str, limit: int) -> AbstractContextManager[BinaryIO]:
        """Open a file to read it; it says that it has at most ``limit`` bytes."""

    @abstractmethod
    def put(self, name: str, source: Path) -> None:
        """Copy a file from here. It replaces whatever has its name."""

    def read(self, name: str, limit: int) -> bytes:
        """The content of a file of at most ``limit`` bytes."""
        with self.open(name, limit) as file:
            return read_at_most(file, Path(name), limit)

    def get(self, name: str, target: Path, limit: int) -> None:
        """Copy a file of at most ``limit`` bytes to a path here, and no byte more."""
        with self.open(name, limit) as source, target.open("wb") as copy:
            left = limit
            while left and (chunk := source.read(min(left, CHUNK))):
                copy.write(chunk)
                left -= len(chunk)


@dataclass(frozen=True)
class EntryInFolder(SharedEntry):
    """An entry in a folder that others can write to; links below that folder are not followed."""

    root: Path
    task: str
    key: str

    @contextmanager
    def open(self, name: str, limit: int) -> Iterator[BinaryIO]:
        """Open a file to read it; it says that it has at most ``limit`` bytes."""
        *inner, last = name.split("/")
        with (
            open_folder_inside(self.root, [self.task, self.key, *inner]) as folder,
            open_regular_file(Path(last), limit, follow_links=False, folder=folder) as file,
        ):
            yield file

    def put(self, name: str, source: Path) -> None:
        """Copy a file from here. It replaces whatever has its name."""
        *inner, last = name.split("/")
        temporary = f".{last}.{secrets.token_hex(8)}"
        with open_folder_inside(self.root, [self.task, self.key, *inner], create=True) as folder:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            descriptor = os.open(temporary, flags, 0o666, dir_fd=folder)
            try:
                with open(descriptor, "wb") as copy, source.open("rb") as content:
                    shutil.copyfileobj(content, copy)
                os.replace(temporary, last, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(temporary, dir_fd=folder)
                raise


@dataclass(frozen=True)
class EntryAtAddress(SharedEntry):
    """An entry in a store that is no folder, such as a bucket."""

    system: "AbstractFileSystem"
    address: str

    @contextmanager
    def open(self, name: str, limit: int) -> Iterator[BinaryIO]:
        """Open a file to read it.

        Raises UnusableFileError if it does not say that it has at most ``limit`` bytes."""
        place = f"{self.address}/{name}"
        size = self.system.size(place)
        if size is None or size > limit:
            raise UnusableFileError(f"{name} is larger than {limit:,} bytes")
        with self.system.open(place, "rb") as file:
            yield file

    def put(self, name: str, source: Path) -> None:
        """Copy a file from here. It replaces whatever has its name."""
        self.system.put_file(str(source), f"{self.address}/{name}")


@cache
def _open(address: str) -> "tuple[AbstractFileSystem, str]":
    import fsspec

    system, root = fsspec.url_to_fs(address)
    return system, root.rstrip("/")


def check() -> None:
    """Raise ConfigError if STUDY_STORE is set and cannot be used, or STUDY_STORE_KEY is short."""
    signatures.check()
    address = shared_store_address()
    if not address:
        return
    try:
        system, root = _open(address)
        if "://" in address and not system.exists(root.partition("/")[0] or "/"):
            raise FileNotFoundError(f"there is no {root.partition('/')[0]}")
    except ImportError as error:
        raise ConfigError(f"STUDY_STORE: {error}; pip install 'latent-study[team]'") from None
    except Exception as error:  # each file system has its own
        raise ConfigError(
            f"STUDY_STORE: {_one_line(error)}; set it to a folder or to s3://bucket/..."
        ) from None


def _find(task: str, key: str, use: Use) -> SharedEntry | None:
    """The place of an entry; None without STUDY_STORE or during a pause."""
    address = shared_store_address()
    if not address or time.monotonic() < _paused_until.get((address, use), 0):
        return None
    system, root = _open(address)
    if "file" in system.protocol:
        return EntryInFolder(Path(root), task, key)
    return EntryAtAddress(system, f"{root}/{task}/{key}")


@contextmanager
def _warn_and_pause(use: Use, problem: str) -> Iterator[None]:
    """Turn an error of the shared store into a warning, and do not use it for some minutes."""
    try:
        yield
    except Exception as error:  # each file system has its own
        # these concern one entry, and come at once
        if not isinstance(error, FileNotFoundError | UnusableFileError):
            pause_ends = time.monotonic() + PAUSE_AFTER_FAILURE_SECONDS
            _paused_until[shared_store_address(), use] = pause_ends
        warnings.warn(f"{problem}: {_one_line(error)}", stacklevel=4)


def read(task: str, key: str, name: str, limit: int) -> bytes | None:
    """The content of a file of an entry, of at most ``limit`` bytes; None if there is none.

    None with a warning if it cannot be read.
    """
    with _warn_and_pause("read", "STUDY_STORE cannot be read"), suppress(FileNotFoundError):
        shared = _find(task, key, "read")
        return None if shared is None else shared.read(name, limit)
    return None


def download(task: str, key: str, limits: Mapping[str, int], folder: Path) -> bool:
    """Copy files of an entry into a folder; whether that was done. An error becomes a warning.

    ``limits`` gives the files by name, each with the largest size in bytes that is copied.
    """
    with _warn_and_pause("read", "STUDY_STORE cannot be read"):
        shared = _find(task, key, "read")
        if shared is None:
            return False
        for name, limit in limits.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shared.get(name, folder / name, limit)
        return True
    return False


def upload(task: str, key: str, names: list[str], folder: Path) -> None:
    """Copy an entry's files to the shared store, in this order; an error becomes a warning."""
    with _warn_and_pause("write", f"{task}/{key[:12]} is not in STUDY_STORE"):
        shared = _find(task, key, "write")
        for name in names if shared else []:
            assert shared is not None
            shared.put(name, folder / name)


def _one_line(error: Exception) -> str:
    return without_credentials(" ".join(f"{type(error).__name__}: {error}".split()))[:200]
