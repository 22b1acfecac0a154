"""Files with one JSON object per line. A kill in the middle of a write loses only that line."""

import errno
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tasks.system.files import read_regular_file

MOST_BYTES = 100_000_000  # a study of 5,000 tasks writes a tenth of it


def append(path: Path, record: Mapping[str, object]) -> None:
    """Add a record, from any thread. Raises OSError, or TypeError if it is not JSON data."""
    line = ("\n" + json.dumps(record)).encode()  # starts a new line after an incomplete one
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        written = os.write(descriptor, line)  # one call: lines of several threads never mix
    finally:
        os.close(descriptor)
    if written < len(line):  # the system says so only at the next write
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The complete records in order.

    Raises OSError for what is not a regular file of at most MOST_BYTES, or UnicodeDecodeError.
    """
    for line in read_regular_file(path, MOST_BYTES).decode("utf-8").split("\n"):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):  # empty, incomplete after a kill, or damaged
            continue
        if isinstance(record, dict):
            yield record
