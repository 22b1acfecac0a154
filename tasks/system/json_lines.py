"""Files with one JSON object per line. A kill in the middle of a write loses only that line."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def append(path: Path, record: Mapping[str, object]) -> None:
    """Add a record, from any thread. Raises OSError, or TypeError if it is not JSON data."""
    line = ("\n" + json.dumps(record)).encode()  # starts a new line after an incomplete one
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line)  # one call: lines of several threads never mix
    finally:
        os.close(descriptor)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The complete records in order. Raises OSError or UnicodeDecodeError."""
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:  # empty, or incomplete after a kill
            continue
