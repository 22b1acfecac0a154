"""Digests of single files, and writing them durably."""

import hashlib
import os
from pathlib import Path


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
