"""Progress in a notebook: one bar that is updated, in place of a line for each task."""

import html
import sys
from typing import Any

from flows.api.messages import Progress


def is_notebook() -> bool:
    """Whether this process is the kernel of a notebook. Imports nothing."""
    shell = sys.modules.get("IPython")
    running = shell.get_ipython() if shell is not None else None
    return running is not None and hasattr(running, "kernel")


class NotebookProgress:
    """A bar below the cell that runs. Outside a notebook it shows nothing."""

    def __init__(self) -> None:
        self._shown: Any = None

    def show(self, progress: Progress) -> None:
        """Show how far the run is."""
        if not is_notebook():
            return
        from IPython import display

        finished, total = progress["finished"], progress["total"]
        text = html.escape(progress["text"].strip())
        how_far = f'value="{finished}" max="{total}"' if total else ""
        counted = f"{finished} of {total} tasks, " if total else ""
        bar = display.HTML(  # type: ignore[no-untyped-call]
            f'<progress {how_far} style="width: 16em"></progress> {counted}{text}'
        )
        if self._shown is None:
            self._shown = display.display(bar, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._shown.update(bar)
