"""Reads files in the IDX format, the format of MNIST's files."""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from models.messages import cut
from tasks.datasets.dataset import DatasetError
from tasks.datasets.found_files import counted
from tasks.datasets.image_file import MOST_BYTES
from tasks.system.files import open_regular_file

if TYPE_CHECKING:
    from torch import Tensor


UNSIGNED_BYTE = 8  # IDX code of the element type
PART_BYTES = 2**20
GZIP_MARK = b"\x1f\x8b"  # a plain IDX file begins with two zero bytes, whatever its name


@contextmanager
def _open_plain_or_gzip(path: Path) -> "Iterator[IO[bytes] | gzip.GzipFile]":
    with open_regular_file(path, MOST_BYTES) as file:
        yield gzip.GzipFile(fileobj=file) if file.peek(2)[:2] == GZIP_MARK else file


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Raise the errors of reading as a DatasetError that names the file."""
    try:
        yield
    except (OSError, EOFError, struct.error, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise DatasetError(
            f"dataset.path: {path} is not an IDX file: {why}; replace it with a whole file in "
            "MNIST's format, plain or gzip"
        ) from None


def _read_header(file: "IO[bytes] | gzip.GzipFile") -> tuple[int, int, tuple[int, ...]]:
    """The two bytes that are zero, the type and the shape. Raises EOFError if they are not all."""
    start = file.read(4)
    if len(start) < 4:
        raise EOFError(f"it has only {counted(len(start), 'byte')}" if start else "it is empty")
    zeros, kind, axes = struct.unpack(">HBB", start)
    sizes = file.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise EOFError(f"its header promises {counted(axes, 'axis', 'axes')} and ends before these")
    return zeros, kind, struct.unpack(f">{axes}I", sizes)


def idx_length(path: Path) -> int:
    """The number of images or labels that the header of an IDX file declares.

    Raises DatasetError as ``read_idx``, but what follows the header is not read.
    """
    with _naming(path), _open_plain_or_gzip(path) as file:
        zeros, kind, shape = _read_header(file)
        if zeros or kind != UNSIGNED_BYTE or not shape:
            raise OSError(f"its header says type {kind} and shape {cut(str(shape))}")
    return shape[0]


def read_idx(path: Path) -> "Tensor":
    """The uint8 tensor in an IDX file, plain or gzip, of any shape: that which its header declares.

    The format is LeCun's for MNIST: two zero bytes, the type, the number of axes, their sizes as
    32-bit big-endian integers, the values.

    Raises DatasetError if the file is not a regular file, not whole, too large, or not an IDX file
    of unsigned bytes.
    """
    import torch

    with _naming(path), _open_plain_or_gzip(path) as file:
        zeros, kind, shape = _read_header(file)
        size = math.prod(shape)
        content = bytearray()  # not read at once: the header or gzip may promise any number
        while len(content) <= min(size, MOST_BYTES) and (part := file.read(PART_BYTES)):
            content += part
    if zeros or kind != UNSIGNED_BYTE or len(content) != size or not content:
        more = "at least " if len(content) > size else ""
        raise DatasetError(
            f"dataset.path: {path} is not an IDX file of unsigned bytes, or is incomplete: its "
            f"header says type {kind} and shape {cut(str(shape))}, followed by {more}"
            f"{len(content):,} bytes; replace it with a whole file"
        )
    return torch.frombuffer(content, dtype=torch.uint8).reshape(shape)
