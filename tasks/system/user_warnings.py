"""Warnings and errors as the user sees them."""

import sys

from tasks.system.addresses import without_credentials

LONGEST_WARNING = 1_000  # characters


def printable(text: str) -> str:
    """A text for a terminal: without passwords, and with ``?`` for characters that control it.

    Parts of it may come from a file or a machine of somebody else. Ends of lines stay.
    """
    shown = without_credentials(text)
    return "".join(one if one.isprintable() or one == "\n" else "?" for one in shown)


def show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning as one line, without the place in the code. For ``warnings.showwarning``."""
    line = printable(str(message).strip()).replace("\n", "\\n")
    cut = line if len(line) <= LONGEST_WARNING else f"{line[:LONGEST_WARNING]}..."
    print(f"warning: {cut}", file=sys.stderr)
