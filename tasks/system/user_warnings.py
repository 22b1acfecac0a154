"""Warnings and errors as the user sees them."""

import sys

from tasks.system.addresses import without_credentials

LONGEST_LINE = 1_000  # characters


def printable(text: str) -> str:
    """A text for a terminal: without passwords, and with ``?`` for characters that control it.

    Parts of it may come from a file or a machine of somebody else. Ends of lines stay.
    """
    shown = without_credentials(text)
    return "".join(one if one.isprintable() or one == "\n" else "?" for one in shown)


def one_line(text: str) -> str:
    """A text from a file or a server as one line for a terminal: cut, nothing that controls it."""
    from models.exported.schema import in_one_line

    return in_one_line(printable(text), LONGEST_LINE)


def show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning as one line, without the place in the code. For ``warnings.showwarning``."""
    print(f"warning: {one_line(str(message).strip())}", file=sys.stderr)
