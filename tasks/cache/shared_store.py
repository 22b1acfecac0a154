"""The shared store of a team: ``STUDY_STORE``, a folder or an address that fsspec can open.

It holds the same entries as the store of one machine. A machine copies from it what its own store
lacks, and copies to it what it computes. The manifest of an entry is copied last, so an entry with
a manifest is complete.
"""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from models.specs import ConfigError
from tasks.system.addresses import without_credentials
from tasks.system.folders import shared_store_address

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


Use = Literal["read", "write"]
PAUSE_AFTER_FAILURE_SECONDS = 300.0  # an attempt may take minutes to fail
_paused_until: dict[tuple[str, Use], float] = {}  # by address, on the monotonic clock


@cache
def _open(address: str) -> "tuple[AbstractFileSystem, str]":
    import fsspec

    system, root = fsspec.url_to_fs(address)
    return system, root.rstrip("/")


def check() -> None:
    """Raise ConfigError if STUDY_STORE is set and cannot be used."""
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


def _location(task: str, key: str, use: Use) -> "tuple[AbstractFileSystem, str] | None":
    """The file system and path of an entry; None without STUDY_STORE or during a pause."""
    address = shared_store_address()
    if not address or time.monotonic() < _paused_until.get((address, use), 0):
        return None
    system, root = _open(address)
    return system, f"{root}/{task}/{key}"


@contextmanager
def _warn_and_pause(use: Use, problem: str) -> Iterator[None]:
    """Turn an error of the shared store into a warning, and do not use it for some minutes."""
    try:
        yield
    except Exception as error:  # each file system has its own
        if not isinstance(error, FileNotFoundError):  # that one comes at once and needs no pause
            pause_ends = time.monotonic() + PAUSE_AFTER_FAILURE_SECONDS
            _paused_until[shared_store_address(), use] = pause_ends
        warnings.warn(f"{problem}: {_one_line(error)}", stacklevel=4)


def read(task: str, key: str, name: str) -> bytes | None:
    """The content of a small file of an entry; None if there is none.

    None with a warning if the shared store cannot be read.
    """
    with _warn_and_pause("read", "STUDY_STORE cannot be read"), suppress(FileNotFoundError):
        location = _location(task, key, "read")
        return None if location is None else bytes(location[0].cat_file(f"{location[1]}/{name}"))
    return None


def download(task: str, key: str, names: list[str], folder: Path) -> bool:
    """Copy files of an entry into a folder; whether that was done. An error becomes a warning."""
    with _warn_and_pause("read", "STUDY_STORE cannot be read"):
        location = _location(task, key, "read")
        if location is None:
            return False
        system, source = location
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            system.get_file(f"{source}/{name}", str(folder / name))
        return True
    return False


def upload(task: str, key: str, names: list[str], folder: Path) -> None:
    """Copy an entry's files to the shared store, in this order; an error becomes a warning."""
    with _warn_and_pause("write", f"{task}/{key[:12]} is not in STUDY_STORE"):
        location = _location(task, key, "write")
        if location is None:
            return
        system, target = location
        for name in names:
            if system.protocol[0] == "file":  # others have no folders: it would make a bucket
                system.makedirs(f"{target}/{name}".rpartition("/")[0], exist_ok=True)
            system.put_file(str(folder / name), f"{target}/{name}")


def _one_line(error: Exception) -> str:
    return without_credentials(" ".join(f"{type(error).__name__}: {error}".split()))[:200]
