"""Single files: digests, reading what others wrote within bounds, writing durably."""

import errno
import hashlib
import os
import stat
from pathlib import Path


def read_regular_file(path: Path, limit: int, *, follow_links: bool = True) -> bytes:
    """The content of a regular file of at most ``limit`` bytes.

    Never waits for a named pipe, and never reads more than the limit. Raises OSError for a file of
    another kind, a larger one, one that cannot be read, and a link unless links are followed.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | (0 if follow_links else os.O_NOFOLLOW)
    descriptor = os.open(path, flags)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(limit + 1) if status.st_size <= limit else b""
        if status.st_size > limit or len(content) > limit:
            raise OSError(errno.EFBIG, f"is larger than {limit:,} bytes", str(path))
        return content
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
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
