"""Warnings and errors as the user sees them."""

import os
import sys
from contextlib import suppress
from typing import IO

from models.messages import in_one_line
from tasks.system.addresses import without_credentials


def printable(text: str) -> str:
    """A text for a terminal: without passwords, and with ``?`` for characters that control it.

    Parts of it may come from a file or a machine of somebody else. Ends of lines stay.
    """
    shown = without_credentials(text)
    return "".join(one if one.isprintable() or one == "\n" else "?" for one in shown)


def one_line(text: str) -> str:
    """A text from a file or a server as one line for a terminal: cut, nothing that controls it."""
    return in_one_line(printable(text))


def show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning as one line, without the place in the code. For ``warnings.showwarning``."""
    say(f"warning: {one_line(str(message).strip())}", error=True)


def say(text: str, *, error: bool = False) -> None:
    """Print a line, or an error. If nobody can read it, the program goes on without it."""
    stream = sys.stderr if error else sys.stdout
    try:
        print(text, file=stream, flush=True)
    except OSError:  # the reader has gone, as in ``study run | head``, or a log's disk is full
        silence(stream)


def silence(stream: IO[str]) -> None:
    """Send what is printed from now on nowhere, and what could not be printed until now."""
    with open(os.devnull, "w") as nowhere, suppress(OSError):  # a stream may be no file
        os.dup2(nowhere.fileno(), stream.fileno())


def open_missing_streams() -> None:
    """Let what was started without standard input, output or error read and print nothing.

    Otherwise the next file that is opened has the stream's number, and errors are printed into it.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            os.set_inheritable(number, True)  # or a child process would lack it again
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115
