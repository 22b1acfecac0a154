"""What every command does around its work: streams, warnings, and errors of one line."""

import errno
import os
import sys
import warnings
from collections.abc import Callable
from typing import NamedTuple

from models.specs import ConfigError, SeveralConfigError
from tasks.execution.invocations import RunFailedError
from tasks.system.disk_errors import DiskError, disk_errors
from tasks.system.user_warnings import (
    one_line,
    open_missing_streams,
    printable,
    say,
    show_warning,
    silence,
)

NOT_PERMITTED = {errno.EACCES, errno.EPERM}


class Explained(NamedTuple):
    """An error as the user sees it, and the exit code of a command that it ends."""

    text: str
    exit_code: int


def explain(error: Exception) -> Explained | None:
    """An error that says what to do; None for others, which are faults of the program."""
    if isinstance(error, SeveralConfigError):
        return Explained(printable(str(error)), 2)
    if isinstance(error, ConfigError):
        return Explained(one_line(str(error)), 2)
    if isinstance(error, ConnectionError | DiskError | RunFailedError):  # MLflow's, or of the disk
        return Explained(one_line(str(error)), 1)
    if isinstance(error, OSError) and error.errno in NOT_PERMITTED:
        place = one_line(str(error.filename or "a file"))
        return Explained(f"{place}: {error.strerror}; check STUDY_HOME", 1)
    return None


def show_warnings_in_one_line() -> None:
    """Print warnings for users, and none of those for developers of libraries."""
    warnings.showwarning = show_warning
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)


def run_command(command: Callable[[], object], name: str) -> None:
    """Run a command. An error that says what to do is one line, after ``name``, and ends it."""
    open_missing_streams()
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        # names of files, which become addresses, are UTF-8 whatever the locale is
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    show_warnings_in_one_line()
    try:
        with disk_errors():
            command()
    except BrokenPipeError:  # as in `study status | head`
        silence(sys.stdout)
        sys.exit(1)
    except Exception as error:
        explained = explain(error)
        if explained is None:
            raise
        say(f"{name}: {explained.text}", error=True)
        sys.exit(explained.exit_code)
