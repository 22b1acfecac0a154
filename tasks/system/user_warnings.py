"""Warnings as the user sees them."""

import sys

from tasks.system.addresses import without_credentials


def show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning as one line, without the place in the code. For ``warnings.showwarning``."""
    print(f"warning: {without_credentials(str(message))}", file=sys.stderr)
