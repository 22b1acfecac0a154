"""Files in the IDX format, which MNIST is distributed in."""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.datasets.dataset import DatasetError

if TYPE_CHECKING:
    from torch import Tensor


UNSIGNED_BYTE = 8  # IDX code of the element type


@contextmanager
def _open_plain_or_gzip(path: Path) -> Iterator[Any]:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        yield file


def read_idx(path: Path) -> "Tensor":
    """An IDX file of unsigned bytes, plain or gzip, with the shape that it declares.

    The format is LeCun's for MNIST: two zero bytes, the type, the number of axes, their sizes as
    32-bit big-endian integers, the values. Raises DatasetError if the file is anything else.
    """
    import torch

    try:
        with _open_plain_or_gzip(path) as file:
            zeros, kind, axes = struct.unpack(">HBB", file.read(4))
            shape = struct.unpack(f">{axes}I", file.read(4 * axes))
            content = file.read()
    except (OSError, EOFError, struct.error, zlib.error) as error:
        raise DatasetError(
            f"dataset.path: {path} is no IDX file: {error}; expected a whole file in MNIST's "
            "format, plain or gzip"
        ) from None
    if zeros or kind != UNSIGNED_BYTE or len(content) != math.prod(shape) or not content:
        raise DatasetError(
            f"dataset.path: {path} is no IDX file of unsigned bytes, or is cut off: it declares "
            f"type {kind} and shape {shape}, and holds {len(content):,} bytes"
        )
    return torch.frombuffer(bytearray(content), dtype=torch.uint8).reshape(shape)
