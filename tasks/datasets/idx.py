"""Reads files in the IDX format, the format of MNIST's files."""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tasks.datasets.dataset import DatasetError

if TYPE_CHECKING:
    from torch import Tensor


UNSIGNED_BYTE = 8  # IDX code of the element type


@contextmanager
def _open_plain_or_gzip(path: Path) -> "Iterator[IO[bytes] | gzip.GzipFile]":
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        yield file


def read_idx(path: Path) -> "Tensor":
    """The uint8 tensor in an IDX file, plain or gzip, with the shape that its header declares.

    The format is LeCun's for MNIST: two zero bytes, the type, the number of axes, their sizes as
    32-bit big-endian integers, the values.

    Raises DatasetError if the file is not whole, or not an IDX file of unsigned bytes.
    """
    import torch

    try:
        with _open_plain_or_gzip(path) as file:
            zeros, kind, axes = struct.unpack(">HBB", file.read(4))
            shape = struct.unpack(f">{axes}I", file.read(4 * axes))
            content = file.read()
    except (OSError, EOFError, struct.error, zlib.error) as error:
        raise DatasetError(
            f"dataset.path: {path} is not an IDX file: {error}; replace it with a whole file in "
            "MNIST's format, plain or gzip"
        ) from None
    if zeros or kind != UNSIGNED_BYTE or len(content) != math.prod(shape) or not content:
        raise DatasetError(
            f"dataset.path: {path} is not an IDX file of unsigned bytes, or is incomplete: its "
            f"header says type {kind} and shape {shape}, followed by {len(content):,} bytes; "
            "replace it with a whole file"
        )
    return torch.frombuffer(bytearray(content), dtype=torch.uint8).reshape(shape)
