"""What would run, and why: the tasks of a plan, as data and as text."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel

from models.specs import ConfigError
from tasks.system.user_warnings import one_line

if TYPE_CHECKING:
    from pandas import DataFrame

SHOWN_REASONS = 3


class PlannedTask(BaseModel):
    """One task: whether it would run, why, and how long it may take in seconds."""

    name: str
    action: Literal["cached", "run"]
    reasons: list[str] = []
    seconds: float | None = None

    def __str__(self) -> str:
        reasons = self.reasons[:SHOWN_REASONS]
        more = len(self.reasons) - len(reasons)
        if more:
            reasons.append(f"and {more} more")
        why = f": {'; '.join(reasons)}" if reasons else ""
        seconds = ""
        if self.action == "run":
            seconds = "? s" if self.seconds is None else f"{self.seconds:.1f} s"
        return one_line(f"{self.action:6} {seconds:>9}  {self.name}{why}")


class Plan(BaseModel):
    """Every task of a study, and what else to know before it is run.

    ``tasks_at_once`` are computed at the same time. ``print(plan)`` shows what ``study plan`` does.
    """

    tasks: list[PlannedTask]
    notes: list[str] = []
    warnings: list[str] = []
    tasks_at_once: int = 1

    @property
    def to_run(self) -> list[PlannedTask]:
        """The tasks that are not in the store."""
        return [task for task in self.tasks if task.action == "run"]

    @property
    def seconds(self) -> float:
        """The seconds of computing that the tasks to run may take, as far as they have estimates.

        The time until the end is about this divided by ``tasks_at_once``.
        """
        return sum(task.seconds or 0 for task in self.to_run)

    @property
    def without_estimate(self) -> int:
        """The number of tasks to run that were never timed."""
        return sum(task.seconds is None for task in self.to_run)

    def matching(self, patterns: Iterable[str]) -> list[str]:
        """The names of the tasks that match a pattern; ``*`` matches any text, ``?`` one character.

        Raises ConfigError for a pattern that matches no task.
        """
        names = [task.name for task in self.tasks]
        chosen: dict[str, None] = {}
        for pattern in patterns:
            expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
            found = [name for name in names if re.fullmatch(expression, name)]
            if not found:
                kind = pattern.partition("[")[0].rstrip("*")
                near = [name for name in names if name.startswith(kind)] or names
                raise ConfigError(
                    f"{pattern!r}: no such task in this study; there are "
                    f"{', '.join(near[:4])}{', ...' if len(near) > 4 else ''}"
                )
            chosen |= dict.fromkeys(found)
        return list(chosen)

    def to_frame(self) -> "DataFrame":
        """One row per task: name, action, reasons (a text), seconds."""
        from pandas import DataFrame

        rows = [task.model_dump() | {"reasons": "; ".join(task.reasons)} for task in self.tasks]
        return DataFrame(rows, columns=list(PlannedTask.model_fields))

    def __str__(self) -> str:
        summary = f"{len(self.tasks) - len(self.to_run)} cached, {len(self.to_run)} to run"
        if self.to_run:
            at_once = f"{self.seconds / self.tasks_at_once:.0f} s with {self.tasks_at_once} at once"
            summary += f": about {self.seconds:.0f} s of computing, {at_once}"
            if self.without_estimate:
                summary += f", and {self.without_estimate} tasks that were never timed"
        notes = [one_line(f"note: {note}") for note in self.notes]
        warnings = [one_line(f"warning: {warning}") for warning in self.warnings]
        return "\n".join([*map(str, self.tasks), summary, *notes, *warnings])
