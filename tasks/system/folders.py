"""The folders of a study: STUDY_HOME for all results, STUDY_DATA for downloaded datasets.

STUDY_STORE is the shared store of a team. DiskError says why a folder cannot be written.
"""

import errno
import os
import re
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from models.specs import ConfigError

STUDY_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"  # it names folders and an experiment
DEFAULTS = {"STUDY_HOME": "results", "STUDY_DATA": "data", "STUDY_STORE": ""}
# The address of a database ends at "?"; a surrogate is a byte of a file name that is not UTF-8.
NOT_IN_ADDRESSES = re.compile("[?\ud800-\udfff]")
DISK_ERRORS = {  # errors that are not of one file: what else is written there fails, too
    errno.ENOSPC: "its disk is full; free space there",
    errno.EDQUOT: "the quota of its disk is used up; free space there",
    errno.EROFS: "its disk is read-only; mount it writable",
    errno.EFBIG: "a file reached the limit of file sizes; raise it, see ulimit -f",
}
ERROR_NUMBER = re.compile(r"\(os error (\d+)\)")  # in errors of safetensors
LEAST_FREE = 1 << 20  # bytes; after an error a disk with less room counts as full
_default_folders: ContextVar[dict[str, str]] = ContextVar("_default_folders", default=DEFAULTS)


def _setting(variable: str) -> str:
    return os.environ.get(variable) or _default_folders.get()[variable]


def study_home() -> Path:
    """``STUDY_HOME``, default ``./results``, absolute.

    Raises ConfigError for a folder whose name cannot be part of a database address.
    """
    home = Path(_setting("STUDY_HOME")).absolute()
    if NOT_IN_ADDRESSES.search(str(home)):
        raise ConfigError(
            f"STUDY_HOME: {str(home)!r} contains '?' or bytes that are not UTF-8; "
            "choose another folder"
        )
    return home


def study_data() -> Path:
    """``STUDY_DATA``, default ``./data``, absolute."""
    return Path(_setting("STUDY_DATA")).absolute()


def shared_store_address() -> str:
    """``STUDY_STORE``, a folder or an address such as ``s3://bucket/folder``; empty if not set."""
    address = _setting("STUDY_STORE")
    return address if "://" in address or not address else str(Path(address).absolute())


def folder_variables() -> dict[str, str]:
    """STUDY_HOME, STUDY_DATA and STUDY_STORE, by variable. Raises ConfigError as study_home."""
    found = {"STUDY_HOME": str(study_home()), "STUDY_DATA": str(study_data())}
    return found | {"STUDY_STORE": shared_store_address()}


@contextmanager
def default_folders(folders: dict[str, str]) -> Iterator[None]:
    """Use these folders, by variable, where the environment sets none. Only inside ``with``."""
    token = _default_folders.set(folders)
    try:
        yield
    finally:
        _default_folders.reset(token)


def check_report_folder(study: str) -> None:
    """Raise ConfigError if a study's name differs from that of another only in case.

    Where file names have no case, as on macOS, the reports of both would be in one folder.
    """
    names = {path.name for path in report_path(study).parents[1].glob("*")}
    others = [name for name in names - {study} if name.casefold() == study.casefold()]
    if others and study not in names:
        raise ConfigError(
            f"name: {study!r} differs only in case from {others[0]!r}, which has a report in "
            f"STUDY_HOME; choose {others[0]!r} or another name"
        )


def report_path(study: str) -> Path:
    """The path of a study's newest report, whether it exists or not."""
    return study_home() / "reports" / study / "index.html"


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
