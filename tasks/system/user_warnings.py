"""What the user is told beside the results."""

import sys
from typing import Any

from tasks.system.addresses import without_credentials


def show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a warning as one line, without the place in the code."""
    print(f"warning: {without_credentials(str(message))}", file=sys.stderr)
