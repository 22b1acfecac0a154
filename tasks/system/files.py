"""Single files: digests, reading what others wrote within bounds, writing durably."""

import errno
import hashlib
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO


class UnusableFileError(OSError):
    """A file that is not read: it is no regular file, too large, or a link."""


@contextmanager
def open_regular_file(
    path: Path, limit: int, *, follow_links: bool = True, folder: int | None = None
) -> Iterator[BufferedReader]:
    """Open a regular file of at most ``limit`` bytes to read it. Never waits for a named pipe.

    A relative path starts at ``folder``, the descriptor of an open folder, if it is given. Raises
    UnusableFileError for a file of another kind, a larger one, and a link unless links are
    followed; OSError for one that cannot be opened.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | (0 if follow_links else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags, dir_fd=folder)
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.ENXIO}:  # a link; a socket
            raise
        raise UnusableFileError(error.errno, "is not a regular file", str(path)) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UnusableFileError(errno.EINVAL, "is not a regular file", str(path))
        if status.st_size > limit:
            raise _too_large(path, limit)
        with open(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def read_regular_file(path: Path, limit: int, *, follow_links: bool = True) -> bytes:
    """The content of a regular file of at most ``limit`` bytes.

    Raises as ``open_regular_file``, also for a file that grows beyond the limit meanwhile.
    """
    with open_regular_file(path, limit, follow_links=follow_links) as file:
        return read_at_most(file, path, limit)


def read_at_most(file: BinaryIO, path: Path, limit: int) -> bytes:
    """The rest of a file. Raises UnusableFileError if it is longer than ``limit`` bytes."""
    content = file.read(limit + 1)
    if len(content) > limit:
        raise _too_large(path, limit)
    return content


@contextmanager
def open_folder_inside(root: Path, parts: Sequence[str], *, create: bool = False) -> Iterator[int]:
    """Open the folder ``root/part/part`` and yield its descriptor; no link below ``root`` counts.

    Whoever can write there cannot lead what uses the descriptor to another place. Raises
    UnusableFileError if a part is no folder, FileNotFoundError if one is missing.
    """
    if create:
        root.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts:
            if create:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=descriptor)
            try:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                inner = os.open(part, flags, dir_fd=descriptor)
            except OSError as error:
                if error.errno not in {errno.ELOOP, errno.ENOTDIR}:
                    raise
                place = str(root.joinpath(*parts))
                raise UnusableFileError(error.errno, "leads through a link", place) from None
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _too_large(path: Path, limit: int) -> UnusableFileError:
    return UnusableFileError(errno.EFBIG, f"is larger than {limit:,} bytes", str(path))


def regular_file_size(path: Path) -> int | None:
    """The size in bytes of a regular file; None for anything else, also a link to one."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def sha256_of(path: Path, limit: int = sys.maxsize) -> str:
    """SHA-256 in hex of a regular file of at most ``limit`` bytes.

    Raises as ``open_regular_file``.
    """
    with open_regular_file(path, limit) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush(path: Path) -> None:
    """Write a file, or a folder's list of names, to the disk: it survives a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def md5_of(path: Path) -> str:
    """MD5 of a file's content, in hex. Dataset archives are published with it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
