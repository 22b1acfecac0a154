"""Shows progress: a live display in a terminal, otherwise one line for each event."""

import logging
import time
import warnings
from collections.abc import Callable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from tasks.artifacts.worker import Event
from tasks.system.user_warnings import one_line, silence

LINES_PER_TASK = 5  # about how many epochs of a task are printed if the output is no terminal


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """The reader has gone, as in ``study run | head``; print nothing more, but continue."""
        self.quiet = True
        silence(self.file)


def log_nothing(level: int, text: str) -> None:
    """The log of a display whose lines are only printed."""


class Display:
    """Shows the tasks of one invocation. Every method may be called from any thread.

    ``log`` is called with each line that a display that is not live prints, and its level.
    """

    def __init__(
        self, console: Console | None = None, log: Callable[[int, str], None] = log_nothing
    ):
        self._log = log
        self.console = console or _Console(highlight=False, soft_wrap=True)
        self.live = self.console.is_terminal
        self.started = time.monotonic()
        self.counts = {"done": 0, "cached": 0, "failed": 0, "skipped": 0}
        self.total = 0
        self._lines: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.live,
        )
        self._overall = self._progress.add_task("study", total=None, note="")

    def __enter__(self) -> "Display":
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the live display, and restore the terminal."""
        self._progress.stop()

    def print_line(self, text: str) -> None:
        """Print one line above the live display. The text may name a file of somebody else."""
        try:
            self.console.print(one_line(text), markup=False, emoji=False)
        except OSError:  # the disk with the log of the study is full
            self.console.quiet = True
            silence(self.console.file)

    def warn(self, text: str) -> None:
        """Show a warning of a task that runs on another machine."""
        warnings.warn(text, stacklevel=2)

    def set_total(self, total: int) -> None:
        """Set the number of tasks."""
        self.total = total
        self._progress.update(self._overall, total=total)

    def per_cent(self) -> float:
        """How many of the tasks have ended, in per cent."""
        return 100 * min(1.0, sum(self.counts.values()) / max(1, self.total))

    def begin(self, name: str) -> None:
        """A task starts computing."""
        if name in self._lines:  # it is retried
            self._progress.remove_task(self._lines[name])
        self._lines[name] = self._progress.add_task(f"  {one_line(name)}", total=None, note="")

    def epoch(self, name: str, event: Event) -> None:
        """A task reports an epoch."""
        note = f"loss {event['test_loss']:.4f}"
        line = self._lines.get(name)
        if self.live and line is not None:
            self._progress.update(line, total=event["epochs"], completed=event["epoch"], note=note)
        if event["epoch"] * LINES_PER_TASK % event["epochs"] < LINES_PER_TASK:
            text = f"{name}: epoch {event['epoch']}/{event['epochs']}, {note}"
            self._log(logging.INFO, one_line(text))
            self.print_progress(f"{self._clock()} {text}")

    def end(self, name: str, outcome: str, detail: str = "") -> None:
        """A task is done, cached, failed or skipped. Prints a line if it failed or was computed."""
        self.counts[outcome] += 1
        line = self._lines.pop(name, None)
        if line is not None:
            self._progress.remove_task(line)
        finished = sum(self.counts.values())
        self._progress.update(self._overall, completed=finished)
        if outcome in {"done", "failed"}:
            suffix = f": {detail}" if detail else ""
            text = f"[{finished}/{self.total}] {name} {outcome}{suffix}"
            self._log(logging.ERROR if outcome == "failed" else logging.INFO, one_line(text))
            if outcome == "failed":
                self.print_line(f"{self._clock()} {text}")
            else:
                self.print_progress(f"{self._clock()} {text}")

    def print_progress(self, text: str) -> None:
        """Print a line that says how far the run is, unless the live display shows that."""
        if not self.live:
            self.print_line(text)

    def _clock(self) -> str:
        seconds = int(time.monotonic() - self.started)
        return f"{seconds // 60:3d}:{seconds % 60:02d}"


_display: type[Display] = Display


def show_progress_with(display: type[Display]) -> None:
    """Runs in this process show their progress with this display from now on."""
    global _display
    _display = display


def new_display(log: Callable[[int, str], None]) -> Display:
    """A display for one run; ``log`` as in ``Display``."""
    return _display(log=log)
