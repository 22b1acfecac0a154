"""What a study would run, and why, without running anything.

The study's wiring is submitted to a graph that only looks: a task is cached if its key is in the
store, intact. Otherwise the reason is found by comparing its inputs and code with those recorded
when this study last computed it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from pydantic import BaseModel

from flows.configuration.study_config import Section, StudyConfig
from flows.sections import submit_report, submit_sections
from models.specs import ConfigError
from tasks.cache import checkpoints, store
from tasks.cache.canonical import differences
from tasks.cache.code_digest import part_file
from tasks.cache.entry import Entry
from tasks.cache.identity import Identity, task_name
from tasks.cache.module_code import ROOT
from tasks.cache.nested import leaves, map_leaves
from tasks.cache.step import Step
from tasks.datasets.dataset import DatasetError
from tasks.execution.invocations import TaskRecord, invocations

REMEMBERED = 20  # invocations of a study that are searched for a task's last record


class PlannedTask(BaseModel):
    """One task, what would become of it, why, and how long it may take in seconds."""

    name: str
    action: Literal["cached", "run"]
    reasons: list[str] = []
    seconds: float | None = None


@dataclass
class PlanNode:
    """A task as the plan sees it; without an entry it would run."""

    step: str
    planned: PlannedTask
    entry: Entry | None


class PlanGraph:
    """Looks at the tasks of a study in place of running them."""

    def __init__(self, study: str):
        self.nodes: list[PlanNode] = []
        self.groups: dict[str, list[PlanNode]] = {}
        self._records = _last_records(study)
        self._past_seconds: dict[str, list[float]] = {}  # by step

    def submit(
        self, step: Step, identity: Identity, group: str | None = None, **inputs: Any
    ) -> PlanNode:
        """Look at one task, given what became of those before it."""
        name = task_name(step.name, identity)
        waiting = [node.planned.name for node in _nodes(inputs) if node.entry is None]
        known = _with_entries(inputs)
        key = None if waiting else step.key(known)
        entry, damaged = _find(step, key)
        last = entry
        planned = PlannedTask(name=name, action="cached")
        if entry is None:
            records = self._records.get(name, [])
            last = _last_entry(step, records)
            reasons = [f"upstream {one} will run" for one in waiting]
            if damaged:
                reasons.append(f"store entry damaged: {damaged}")
            if records and records[0].key == key and not reasons:
                reasons = [_unfinished(step, records[0])]
            elif last is not None:
                reasons = _changes(step, known, last, inputs) + reasons
            if not reasons:
                reasons = ["its inputs or its code changed" if records else "never run"]
            planned = PlannedTask(name=name, action="run", reasons=reasons)
        if last is not None:
            self._past_seconds.setdefault(step.name, []).append(last.seconds)
            planned.seconds = last.seconds * _more_epochs(step.recorded(known), last.inputs)
        node = PlanNode(step.name, planned, entry)
        self.nodes.append(node)
        self.groups.setdefault(group or step.name, []).append(node)
        return node

    def tasks(self) -> list[PlannedTask]:
        """Every task; one that never ran is expected to take as long as others of its step."""
        for node in self.nodes:
            alike = self._past_seconds.get(node.step)
            if node.planned.seconds is None and alike:
                node.planned.seconds = sum(alike) / len(alike)
        return [node.planned for node in self.nodes]


def _find(step: Step, key: str | None) -> tuple[Entry | None, str]:
    """The entry of a key here or in the shared store, and the damaged file of the one here."""
    if key is None:
        return None, ""
    entry, damaged = store.inspect(step.name, key)
    return entry or store.find_shared(step.name, key), damaged


def _last_entry(step: Step, records: list[TaskRecord]) -> Entry | None:
    """The newest entry that is still in the store, of those that past invocations reached."""
    entries = (store.inspect(step.name, record.key)[0] for record in records)
    return next((entry for entry in entries if entry is not None), None)


def _nodes(inputs: Any) -> list[PlanNode]:
    return [leaf for leaf in leaves(inputs) if isinstance(leaf, PlanNode)]


def _more_epochs(asked: dict[str, Any], done: dict[str, Any]) -> float:
    """How many times the epochs of a past training are asked for."""
    for name in ("recipe", "spec"):
        now, then = asked.get(name), done.get(name)
        if isinstance(now, dict) and isinstance(then, dict) and "epochs" in now.keys() & then:
            return float(now["epochs"] / then["epochs"])
    return 1.0


def _with_entries(value: Any) -> Any:
    """Inputs with the entry of each finished task in its place."""
    return map_leaves(value, lambda leaf: leaf.entry if isinstance(leaf, PlanNode) else leaf)


def _last_records(study: str) -> dict[str, list[TaskRecord]]:
    """The records of each task of a study, newest first."""
    found: dict[str, list[TaskRecord]] = {}
    for invocation in islice(invocations(study), REMEMBERED):
        for name, record in invocation.tasks.items():
            if record.key:
                found.setdefault(name, []).append(record)
    return found


def _unfinished(step: Step, record: TaskRecord) -> str:
    """Why a task with the same key as last time left no entry."""
    if record.reason:
        return f"failed: {record.reason}"
    epoch = checkpoints.epoch_of(step.name, record.key)
    if epoch is not None:
        return f"interrupted, continues after epoch {epoch}"
    return "removed from the store" if record.outcome else "interrupted"


def _changes(
    step: Step, inputs: dict[str, Any], last: Entry, submitted: dict[str, Any]
) -> list[str]:
    """In words, how inputs and code differ from those of the last entry."""
    found: list[str] = []
    now, before = step.recorded(inputs), last.inputs
    for name in (name for name in now | before if now.get(name) != before.get(name)):
        nodes = _nodes(submitted.get(name))
        if name in step.settings:
            found += [
                f"{key} {json.dumps(old)} -> {json.dumps(new)}"
                for key, old, new in differences(
                    before.get(name), now.get(name), step.settings[name]
                )
            ]
        elif all(node.entry for node in nodes):
            names = [node.planned.name for node in nodes][:3]
            found.append(f"{name if name == 'dataset' else ', '.join(names) or name} changed")
    return found + list(code_changes(last.code, step.code))


def code_changes(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    """``models/fit.py changed: train_stack`` for every file with changed definitions.

    Where files are gone the code was moved: definitions cannot be compared, and that is said once.
    """
    gone = sorted({_shown(part) for part in before if not part_file(part).is_file()})
    if gone:
        others = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        yield f"the project's code moved to other files ({gone[0]}{others} are gone)"
        return
    files: dict[str, list[str]] = {}
    for part in before | after:
        if before.get(part) != after.get(part):
            files.setdefault(_shown(part), []).append(part.partition(":")[2])
    for path, definitions in files.items():
        named = ", ".join(name for name in definitions if name)
        yield f"{path} changed" + (f": {named}" if named else "")


def _shown(part: str) -> str:
    return part_file(part).relative_to(ROOT).as_posix()


def make_plan(config: StudyConfig, sections: tuple[Section, ...]) -> list[PlannedTask]:
    """Every task of these sections in the order of the diagram.

    Raises ConfigError if a user's own images cannot be read.
    """
    graph = PlanGraph(config.name)
    try:
        submit_sections(graph, config, sections)
    except DatasetError as error:
        raise ConfigError(str(error)) from None
    submit_report(graph, config, sections, dict(graph.groups), [])
    return graph.tasks()
