"""What a study would run, and why, without running anything.

The tasks of the study are submitted to a graph that only looks them up: a task is cached if an
intact entry with its key is in the store. Otherwise its inputs and code are compared with those of
the last time that this study computed it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from flows.configuration.study_config import SECTIONS, Section, StudyConfig
from flows.planned import Plan, PlannedTask
from flows.sections import check_dataset, submit_report, submit_sections
from models.specs import ConfigError
from tasks.analysis.blind_edge import warning_of_entries
from tasks.cache import checkpoints, store
from tasks.cache.canonical import canonical_text, differences
from tasks.cache.entry import Entry
from tasks.cache.identity import Identity, task_name
from tasks.cache.nested import leaves, map_leaves
from tasks.cache.provenance import mixed_releases, provenance
from tasks.cache.step import VERSIONS, Inputs, Step
from tasks.code import code_digest
from tasks.code.code_digest import part_file, shown_part
from tasks.datasets.dataset import DatasetError
from tasks.execution.invocations import TaskRecord, invocations
from tasks.own_code.digest import changed_parts, code_parts
from tasks.own_code.registry import OWN_CODES
from tasks.own_code.unchanged import digests_in

SEARCHED_INVOCATIONS = 20  # the newest of a study, searched for earlier records of its tasks


@dataclass
class PlanNode:
    """A submitted task; without an entry it would run."""

    step: str
    planned: PlannedTask
    entry: Entry | None


class PlanGraph:
    """Looks up the tasks of a study instead of running them."""

    def __init__(self, study: str):
        self.nodes: list[PlanNode] = []
        self.groups: dict[str, list[PlanNode]] = {}
        self._records = _last_records(study)
        self._past_seconds: dict[str, list[float]] = {}  # by step

    def submit(
        self, step: Step, identity: Identity, group: str | None = None, **inputs: object
    ) -> PlanNode:
        """Look up one task. Its inputs may hold nodes of upstream tasks."""
        name = task_name(step.name, identity)
        waiting = [node.planned.name for node in _nodes(inputs) if node.entry is None]
        known = _with_entries(inputs)
        key = None if waiting else step.key(known)
        entry, problem = _find(step, key)
        last = entry
        planned = PlannedTask(name=name, action="cached")
        if entry is None:
            records = self._records.get(name, [])
            last = _last_entry(step, records)
            reasons = [f"upstream {one} will run" for one in waiting]
            if problem:
                reasons.append(problem)
            if records and records[0].key == key:  # inputs and code are those of the last time
                reasons = reasons or [_unfinished(step, records[0])]
            elif last is not None:
                reasons = _changes(step, known, last, inputs) + reasons
            if not reasons:
                reasons = ["its inputs or its code changed" if records else "never run"]
            planned = PlannedTask(name=name, action="run", reasons=reasons)
        if last is not None:
            self._past_seconds.setdefault(step.name, []).append(last.seconds)
            planned.seconds = last.seconds * _more_epochs(step.inputs_as_json(known), last.inputs)
        node = PlanNode(step.name, planned, entry)
        self.nodes.append(node)
        self.groups.setdefault(group or step.name, []).append(node)
        return node

    def plan(self) -> Plan:
        """The tasks in the order in which they were submitted."""
        here = provenance()
        computed_with = {
            group: [node.entry.provenance if node.entry else here for node in nodes]
            for group, nodes in self.groups.items()
        }
        return Plan(tasks=self._tasks(), notes=list(mixed_releases(computed_with)))

    def _tasks(self) -> list[PlannedTask]:
        """Every task. A task that never ran gets the mean time of others of its step."""
        for node in self.nodes:
            past = self._past_seconds.get(node.step)
            if node.planned.seconds is None and past:
                node.planned.seconds = sum(past) / len(past)
        return [node.planned for node in self.nodes]


def _find(step: Step, key: str | None) -> tuple[Entry | None, str]:
    """The entry of a key in this store or the shared one, and why this store's cannot be used."""
    if key is None:
        return None, ""
    entry, problem = store.inspect(step.name, key)
    shared = store.find_shared(step.name, key) if entry is None and step.shared else None
    return entry or shared, problem


def _last_entry(step: Step, records: list[TaskRecord]) -> Entry | None:
    """The newest entry of these records that is still in the store."""
    entries = (store.inspect(step.name, record.key)[0] for record in records)
    return next((entry for entry in entries if entry is not None), None)


def _nodes(inputs: object) -> list[PlanNode]:
    return [leaf for leaf in leaves(inputs) if isinstance(leaf, PlanNode)]


def _more_epochs(asked: Mapping[str, object], done: Mapping[str, object]) -> float:
    """The number of epochs of a training, as a multiple of those of a past training."""
    for name in ("recipe", "spec"):
        now, then = asked.get(name), done.get(name)
        if isinstance(now, dict) and isinstance(then, dict) and "epochs" in now.keys() & then:
            return float(now["epochs"] / then["epochs"])
    return 1.0


def _with_entries(inputs: Inputs) -> Inputs:
    """Inputs with every node replaced by its entry."""

    def entry_of(leaf: object) -> object:
        return leaf.entry if isinstance(leaf, PlanNode) else leaf

    return {name: map_leaves(value, entry_of) for name, value in inputs.items()}


def _last_records(study: str) -> dict[str, list[TaskRecord]]:
    """The records of each task of a study, newest first."""
    found: dict[str, list[TaskRecord]] = {}
    for invocation in islice(invocations(study), SEARCHED_INVOCATIONS):
        for name, record in invocation.tasks.items():
            if record.key:
                found.setdefault(name, []).append(record)
    return found


def _unfinished(step: Step, record: TaskRecord) -> str:
    """Why a task has no entry although its key is that of its last record."""
    if record.reason:
        return f"failed: {record.reason}"
    epoch = checkpoints.newest_epoch(step.name, record.key)
    if epoch is not None:
        return f"interrupted, continues after epoch {epoch}"
    return "removed from the store" if record.outcome else "interrupted"


def _changes(step: Step, inputs: Inputs, last: Entry, submitted: Inputs) -> list[str]:
    """One line for each difference of inputs and code from those of the last entry."""
    found: list[str] = []
    settings = step.settings | {VERSIONS: VERSIONS}
    now, before = step.inputs_as_json(inputs), last.inputs
    for name in (name for name in now | before if now.get(name) != before.get(name)):
        nodes = _nodes(submitted.get(name))
        if name in settings:
            for key, old, new in differences(before.get(name), now.get(name), settings[name]):
                own = _changed_own_code(old, new, last)
                found += own or [_changed_setting(key, old, new)]
        elif nodes and all(node.entry for node in nodes):
            found += _changed_upstream(name, nodes, before.get(name))
        elif not nodes and name != "command":  # which follows from settings and sections
            found.append(f"{name.replace('_', ' ')} changed")
    if last.code_format != code_digest.FORMAT:
        return [*found, "this version compares code in another way"]
    return list(dict.fromkeys(found)) + list(code_changes(last.code, step.code))


def _changed_own_code(old: object, new: object, last: Entry) -> list[str]:
    """What changed in a user's code that two values name: ``nets.py changed: encoder``.

    Nothing if the values differ in anything else. ``last`` was computed with the first one.
    """
    text = canonical_text(old)
    found: list[str] = []
    for digest in sorted(digests_in(new) - digests_in(old)):
        own = OWN_CODES.codes.get(digest)
        replaced = [one for one, parts in last.own_code.items() if own and own.reference in parts]
        if own is None or not replaced:
            return []
        text = text.replace(replaced[0], digest)
        found += changed_parts(last.own_code[replaced[0]], code_parts(own))
    return found if text == canonical_text(new) else []


def _changed_setting(key: str, old: object, new: object) -> str:
    if key != "sections":
        return f"{key} {json.dumps(old)} -> {json.dumps(new)}"
    shown = [
        "all sections" if one == list(SECTIONS) else ", ".join(map(str, leaves(one)))
        for one in (new, old)
    ]
    return f"it shows {shown[0]}, the last one {shown[1]}"


def _changed_upstream(name: str, nodes: list[PlanNode], before: object) -> list[str]:
    """Which upstream tasks are new or have other results than when a task last ran.

    Nothing if there are only fewer of them: what left them out is a reason of its own.
    """
    known = {leaf for leaf in leaves(before) if isinstance(leaf, str)}
    changed = [node for node in nodes if node.entry and node.entry.fingerprint not in known]
    names = ", ".join(node.planned.name for node in changed[:3])
    more = f" and {len(changed) - 3} more" if changed[3:] else ""
    if not changed:
        return []
    return [f"{name if name == 'dataset' else names + more} changed"]


def code_changes(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    """``models/fit.py changed: train_stack`` for every file with changed definitions.

    If files are gone the code was moved and its definitions cannot be compared: one line says so.
    """
    gone = sorted({shown_part(part) for part in before if not part_file(part).is_file()})
    if gone:
        others = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        yield f"the project's code moved to other files ({gone[0]}{others} are gone)"
        return
    files: dict[str, list[str]] = {}
    for part in before | after:
        if before.get(part) != after.get(part):
            files.setdefault(shown_part(part), []).append(part.partition(":")[2])
    for path, definitions in files.items():
        named = ", ".join(name for name in definitions if name)
        yield f"{path} changed" + (f": {named}" if named else "")


def _entries(graph: PlanGraph, group: str) -> list[Entry]:
    return [node.entry for node in graph.groups.get(group, []) if node.entry is not None]


def make_plan(config: StudyConfig, sections: tuple[Section, ...]) -> Plan:
    """What these sections would run, in the order of the diagram.

    Raises ConfigError if a user's own images cannot be read or lack a class that is asked for.
    """
    notes = check_dataset(config, sections)
    graph = PlanGraph(config.name)
    try:
        submit_sections(graph, config, sections)
    except DatasetError as error:
        raise ConfigError(str(error)) from None
    submit_report(graph, config, sections, dict(graph.groups), [])
    plan = graph.plan()
    warning = warning_of_entries(*(_entries(graph, name) for name in ("evaluate", "train")))
    return plan.model_copy(
        update={
            "notes": [*notes, *plan.notes],
            "warnings": [warning] if warning else [],
            "tasks_at_once": config.runner.tasks_at_once,
        }
    )
