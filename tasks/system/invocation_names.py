"""Names of invocations, and the one order of their files: by the time at which each began.

A name begins with that time in UTC, to the microsecond: ``20261127-005254-123456Z-mnist-1f3a``.
Names by versions before 0.2 begin with the local time, so their files are read for it.
"""

import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tasks.system import json_lines

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = 200_000_000_000_000_000  # microseconds, in the year 8307: a later time cannot be written
TIME = "%Y%m%d-%H%M%S-%f"
IN_UTC = re.compile(r"(\d{8}-\d{6}-\d{6})Z-")


def new_name(study: str, begun: int) -> str:
    """A name that no other invocation has. ``begun`` is in microseconds since 1970."""
    return f"{_as_text(begun)}Z-{study}-{secrets.token_hex(2)}"


def short_name(begun: int) -> str:
    """When an invocation began, in UTC to the second: the name that users give to commands."""
    return to_the_second(_as_text(begun))


def to_the_second(name: str) -> str:
    """The start of an invocation's name, which holds its time: ``20261127-005254``."""
    return name[: len("YYYYmmdd-HHMMSS")]


def begins_with(path: Path, start: str) -> bool:
    """Whether the name of a file's invocation, or its time in UTC, begins with this text."""
    return path.stem.startswith(start) or _as_text(begun(path)).startswith(start)


def begun(path: Path) -> int:
    """When the invocation of this record or spool began, in microseconds since 1970.

    For a file without a time, when it was last changed; 0 if there is no such file.
    """
    found = IN_UTC.match(path.name)
    try:
        if found:
            time = datetime.strptime(found.group(1), TIME).replace(tzinfo=UTC)
            microseconds = (time - EPOCH) // timedelta(microseconds=1)
        else:
            first = next(json_lines.read(path), {})
            seconds = first["started"] if "started" in first else first["at"] / 1000
            microseconds = int(seconds * 1_000_000)
        if 0 <= microseconds < LATEST:
            return microseconds
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        pass  # damaged
    return int(path.lstat().st_mtime * 1_000_000) if path.exists() else 0


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Records or spools of invocations, the oldest first."""
    return sorted(paths, key=lambda path: (begun(path), path.name))


def _as_text(begun: int) -> str:
    return (EPOCH + timedelta(microseconds=begun)).strftime(TIME)
