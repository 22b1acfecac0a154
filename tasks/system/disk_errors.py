"""Why a folder cannot be written: its disk is full or read-only, or a quota or limit is reached."""

import errno
import os
import re
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.specs import ConfigError
from tasks.system.folders import study_home

DISK_ERRORS = {  # errors that are not of one file: what else is written there fails, too
    errno.ENOSPC: "its disk is full; free space there",
    errno.EDQUOT: "the quota of its disk is used up; free space there",
    errno.EROFS: "its disk is read-only; mount it writable",
    errno.EFBIG: "a file reached the limit of file sizes; raise it, see ulimit -f",
}
ERROR_NUMBER = re.compile(r"\(os error (\d+)\)")  # in errors of safetensors
LEAST_FREE = 1 << 20  # bytes; after an error a disk with less room counts as full


class DiskError(RuntimeError):
    """A folder cannot be written: the disk is full or read-only, or a quota or limit is reached.

    The message is one line: the folder, the reason, what to do.
    """


@contextmanager
def disk_errors() -> Iterator[None]:
    """Raise DiskError in place of an error that has its reason. Only inside ``with``.

    Trap: use it where a failed computation has not yet freed the space that it took.
    """
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        reason = disk_reason(error, study_home(), Path(tempfile.gettempdir()))
        if not reason:
            raise
        raise DiskError(reason) from error


def disk_reason(error: BaseException | None, *folders: Path) -> str:
    """The message of the DiskError that an error or one before it is, or is due to; empty if none.

    Libraries report a full disk in many ways, so ``folders`` are tried if no error says so.
    """
    while error is not None:
        if isinstance(error, DiskError):
            return str(error)
        if found := _disk_error(error):
            return _place(error, folders) + DISK_ERRORS[found]
        error = error.__cause__ or error.__context__
    return next(filter(None, map(why_unwritable, folders)), "")


def _disk_error(error: BaseException) -> int | None:
    """The number in DISK_ERRORS that an error has or names."""
    # a subclass has other reasons: a file that is too large to be read has EFBIG
    number = error.errno if type(error) is OSError else None
    if number is None and (named := ERROR_NUMBER.search(str(error))):
        number = int(named[1])
    if "disk I/O error" in str(error) and _size_limit() is not None:  # SQLite's words for it
        number = errno.EFBIG
    return number if number in DISK_ERRORS else None


def _place(error: BaseException, folders: tuple[Path, ...]) -> str:
    """The folder of an error, as the beginning of a message."""
    name = getattr(error, "filename", None)
    if isinstance(name, str) and os.path.isabs(name):
        home = study_home()
        folder = home if Path(name).is_relative_to(home) else Path(name).parent
    else:
        folder = next(filter(why_unwritable, folders), study_home())
    return f"{folder}: "


def why_unwritable(folder: Path) -> str:
    """Why nothing can be written in a folder, if it is for one of DISK_ERRORS; otherwise empty."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(LEAST_FREE))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return f"{folder}: {DISK_ERRORS[error.errno]}" if error.errno in DISK_ERRORS else ""
    return f"{folder}: {DISK_ERRORS[errno.EFBIG]}" if _file_at_limit(folder) else ""


def _file_at_limit(folder: Path) -> bool:
    """Whether a file in a folder may have reached the limit of file sizes of this process.

    A file that is written in large parts, or that SQLite has cut since, is smaller than the limit.
    """
    limit = _size_limit()
    if limit is None:
        return False
    files = (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return any(path.lstat().st_size > limit // 2 for path in files)


def _size_limit() -> int | None:
    """The limit of file sizes of this process in bytes; None if there is none."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return None if limit == resource.RLIM_INFINITY else limit
