"""The store that a team shares: ``STUDY_STORE``, a folder or any address that fsspec knows.

It holds the same entries as the store of one machine, which takes from it what it lacks and gives
it what it computes. The files of an entry go first and its manifest last, so that what has a
manifest is whole.
"""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from models.specs import ConfigError
from tasks.system.addresses import without_credentials
from tasks.system.folders import shared_store_address

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


Use = Literal["read", "write"]
REST_SECONDS = 300.0
_rest_until: dict[tuple[str | None, Use], float] = {}


@cache
def _open(address: str) -> "tuple[AbstractFileSystem, str]":
    import fsspec

    system, root = fsspec.url_to_fs(address)
    return system, root.rstrip("/")


def check() -> None:
    """Raise ConfigError if STUDY_STORE cannot be used at all."""
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
            f"STUDY_STORE: {_line(error)}; name a folder, or s3://bucket/..."
        ) from None


def _place(task: str, key: str, use: Use) -> "tuple[AbstractFileSystem, str] | None":
    address = shared_store_address()
    if not address or time.monotonic() < _rest_until.get((address, use), 0):
        return None
    system, root = _open(address)
    return system, f"{root}/{task}/{key}"


@contextmanager
def _warned(use: Use, trouble: str) -> Iterator[None]:
    """A warning for what the store raises, and some minutes without: each try may take one."""
    try:
        yield
    except Exception as error:  # each file system has its own
        if not isinstance(error, FileNotFoundError):  # which takes no time
            _rest_until[shared_store_address(), use] = time.monotonic() + REST_SECONDS
        warnings.warn(f"{trouble}: {_line(error)}", stacklevel=4)


def read(task: str, key: str, name: str) -> bytes | None:
    """A small file of an entry; None if it is not there, or with a warning if the store is not."""
    with _warned("read", "STUDY_STORE cannot be read"), suppress(FileNotFoundError):
        place = _place(task, key, "read")
        return None if place is None else bytes(place[0].cat_file(f"{place[1]}/{name}"))
    return None


def fetch(task: str, key: str, names: list[str], folder: Path) -> bool:
    """Copy files of an entry into a folder; False with a warning if they cannot be had."""
    with _warned("read", "STUDY_STORE cannot be read"):
        place = _place(task, key, "read")
        if place is None:
            return False
        system, source = place
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            system.get_file(f"{source}/{name}", str(folder / name))
        return True
    return False


def offer(task: str, key: str, names: list[str], folder: Path) -> None:
    """Give an entry's files in this order; what the store does not take is warned of."""
    with _warned("write", f"{task}/{key[:12]} is not in STUDY_STORE"):
        place = _place(task, key, "write")
        if place is None:
            return
        system, target = place
        for name in names:
            if system.protocol[0] == "file":  # others have no folders, and would make a bucket
                system.makedirs(f"{target}/{name}".rpartition("/")[0], exist_ok=True)
            system.put_file(str(folder / name), f"{target}/{name}")


def _line(error: Any) -> str:
    return without_credentials(" ".join(f"{type(error).__name__}: {error}".split()))[:200]
