"""Files of JSON lines that grow as things happen and survive a kill in the middle of a line."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def append(path: Path, record: dict[str, Any]) -> None:
    """Add a record, from any thread."""
    line = ("\n" + json.dumps(record)).encode()  # a torn line before stays apart
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line)  # one call: lines of several threads never mix
    finally:
        os.close(descriptor)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The records, but for those that are torn. Raises OSError or UnicodeDecodeError."""
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except ValueError:  # empty, or torn by a kill
            continue
