"""``study plan``: what would run, and why, without running anything.

The study's wiring is submitted to a graph that only looks: a task is cached if its key is in the
store, intact; else the reason is found by comparing its inputs and code with those recorded when
this study last computed it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

from pydantic import BaseModel
from rich.console import Console

from flows.config import Section, StudyConfig
from flows.sections import submit_report, submit_sections
from models.specs import ConfigError
from tasks import checkpoints, store
from tasks.canonical import differences
from tasks.invocations import TaskRecord, invocations
from tasks.sources import DatasetError
from tasks.step import Step, leaves, map_leaves
from tasks.store import Entry

SHOWN_REASONS = 3
REMEMBERED = 20  # invocations of a study that are searched for a task's last record


class PlannedTask(BaseModel):
    """One task, what would become of it, why, and how long it may take."""

    name: str
    action: Literal["cached", "run"]
    reasons: list[str] = []
    seconds: float | None = None


@dataclass
class _Node:
    planned: PlannedTask
    entry: Entry | None  # None if the task would run


class PlanGraph:
    """Looks at the tasks of a study in place of running them."""

    def __init__(self, study: str):
        self.nodes: list[_Node] = []
        self.groups: dict[str, list[_Node]] = {}
        self._records = _last_records(study)
        self._took: dict[str, list[float]] = {}  # seconds of past runs, by step

    def submit(self, step: Step, label: str, group: str | None = None, **inputs: Any) -> _Node:
        """Look at one task, given what became of those before it."""
        planned = PlannedTask(name=f"{step.name}[{label}]", action="cached")
        node = _Node(planned, None)
        waiting = [n.planned.name for n in _nodes(inputs) if n.entry is None]
        reasons = [f"upstream {name} will run" for name in waiting]
        resolved = _resolve(inputs)
        key = None if waiting else step.key(resolved)
        if key is not None:
            node.entry, damaged = store.inspect(step.name, key)
            node.entry = node.entry or store.shared(step.name, key)
            reasons += [f"store entry damaged: {damaged}"] * bool(damaged)
        last = node.entry
        if node.entry is None:
            records = self._records.get(planned.name, [])
            entries = (store.inspect(step.name, record.key)[0] for record in records)
            last = next((entry for entry in entries if entry is not None), None)
            planned.action = "run"
            if records and records[0].key == key and not reasons:
                reasons = [_unfinished(step, records[0])]
            elif last is not None:
                reasons = _changes(step, resolved, last, inputs) + reasons
            planned.reasons = reasons or [
                "its inputs or its code changed" if records else "never run"
            ]
        if last is not None:
            self._took.setdefault(step.name, []).append(last.seconds)
            planned.seconds = last.seconds * _more_epochs(step.recorded(resolved), last.inputs)
        self.nodes.append(node)
        self.groups.setdefault(group or step.name, []).append(node)
        return node

    def tasks(self) -> list[PlannedTask]:
        """Every task; one that never ran is expected to take as long as its like."""
        for node in self.nodes:
            like = self._took.get(node.planned.name.partition("[")[0])
            if node.planned.seconds is None and like:
                node.planned.seconds = sum(like) / len(like)
        return [node.planned for node in self.nodes]


def _nodes(inputs: Any) -> list[_Node]:
    return [leaf for leaf in leaves(inputs) if isinstance(leaf, _Node)]


def _more_epochs(asked: dict[str, Any], done: dict[str, Any]) -> float:
    """How many times the epochs of a past training are asked for."""
    for name in ("recipe", "spec"):
        now, then = asked.get(name), done.get(name)
        if isinstance(now, dict) and isinstance(then, dict) and "epochs" in now.keys() & then:
            return float(now["epochs"] / then["epochs"])
    return 1.0


def _resolve(value: Any) -> Any:
    """Inputs with the entry of each finished task in its place."""
    return map_leaves(value, lambda leaf: leaf.entry if isinstance(leaf, _Node) else leaf)


def _last_records(study: str) -> dict[str, list[TaskRecord]]:
    """The records of each task of a study, newest first."""
    found: dict[str, list[TaskRecord]] = {}
    for invocation in islice(invocations(study), REMEMBERED):
        for name, record in invocation.tasks.items():
            if record.key:
                found.setdefault(name, []).append(record)
    return found


def _unfinished(step: Step, record: TaskRecord) -> str:
    """Why what was asked for in the same words last time left no entry."""
    if record.reason:
        return f"failed: {record.reason}"
    epoch = checkpoints.epoch_of(step.name, record.key)
    if epoch is not None:
        return f"interrupted, goes on behind epoch {epoch}"
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
    """``models/autoencoder.py changed: Decoder`` for every file with changed definitions."""
    files: dict[str, list[str]] = {}
    for part in before | after:
        if before.get(part) != after.get(part):
            module, _, definition = part.partition(":")
            path = module if "/" in module else f"{module.replace('.', '/')}.py"
            files.setdefault(path, []).append(definition)
    for path, definitions in files.items():
        named = ", ".join(name for name in definitions if name)
        yield f"{path} changed" + (f": {named}" if named else "")


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


def print_plan(plan: list[PlannedTask], width: int) -> None:
    """What would run and why, and how long it may take."""
    waiting = [task for task in plan if task.action == "run"]
    console = Console(highlight=False, soft_wrap=True, markup=False)
    for task in plan:
        seconds = f"{task.seconds:.1f} s" if task.seconds is not None else "? s"
        more = len(task.reasons) - SHOWN_REASONS
        reasons = task.reasons[:SHOWN_REASONS] + [f"and {more} more"] * (more > 0)
        why = f": {'; '.join(reasons)}" if reasons else ""
        shown = seconds if task.action == "run" else ""
        console.print(f"{task.action:6} {shown:>9}  {task.name}{why}")
    text = f"{len(plan) - len(waiting)} cached, {len(waiting)} to run"
    if waiting:
        total, unknown = totals(plan)
        text += f": about {total:.0f} s of computing, {total / width:.0f} s with {width} at once"
        text += f", and {unknown} tasks that were never timed" if unknown else ""
    console.print(text)


def totals(plan: list[PlannedTask]) -> tuple[float, int]:
    """Seconds of computing of what would run, and how many of them have no estimate."""
    seconds = [task.seconds for task in plan if task.action == "run"]
    return sum(value or 0 for value in seconds), seconds.count(None)


def plan_json(plan: list[PlannedTask]) -> str:
    """The plan for other programs."""
    total, unknown = totals(plan)
    tasks = [task.model_dump() for task in plan]
    return json.dumps({"tasks": tasks, "seconds": total, "without_estimate": unknown}, indent=1)
