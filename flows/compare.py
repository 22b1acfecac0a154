"""``study report --compare``: two invocations, by study name or by their own."""

from pathlib import Path

from models.specs import ConfigError
from tasks import store
from tasks.comparison import Side, write_comparison
from tasks.home import study_home
from tasks.invocations import Invocation, invocations
from tasks.tables import Groups


def compare_reports(first: str, second: str) -> Path:
    """Write the page that compares two invocations or studies; where it lies.

    Raises ConfigError for a name that nothing ran under, or that left no model in the store.
    """
    sides = [_side(name) for name in (first, second)]
    folder = study_home() / "reports" / "compare" / f"{first}-{second}"
    return write_comparison(folder, *sides)


def _side(name: str) -> Side:
    found = _find(name)
    groups: Groups = {}
    for task_name, record in found.tasks.items():
        entry = store.load(record.task, record.key) if record.key else None
        if entry is not None:
            reported = record.task == "train" and "recipe=as_reported" in task_name
            groups.setdefault("reported_encoder" if reported else record.task, []).append(entry)
    if not groups.get("train"):
        raise ConfigError(f"{name}: no trained model of it is in the store; run it again")
    return Side(f"{found.study} of {found.moment}", found.config, groups)


def _find(name: str) -> Invocation:
    """The newest invocation of a study that came to an end, or the invocation of that name."""
    for found in invocations():
        trained = any(one.task == "train" and one.outcome for one in found.tasks.values())
        if found.moment == name or (found.study == name and found.ended and trained):
            return found
    raise ConfigError(f"{name!r}: nothing ran by that name here; see: study status")
