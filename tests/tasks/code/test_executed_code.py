"""What the steps of a real study execute is in the digests of their code."""

import ast
import inspect
import random
import shutil
import sys
from functools import cache
from pathlib import Path

import pytest

from flows.configuration.load import load_config
from flows.configuration.study_config import SECTIONS
from flows.sections import submit_report, submit_sections
from tasks.cache.results import check_result
from tasks.code import modules
from tasks.code.code_digest import clear_code_snapshot, code_parts
from tasks.code.module_code import parse_module
from tasks.code.modules import IGNORED_MODULES, PACKAGES, ROOT
from tasks.execution.perform import perform
from tasks.execution.session import task_session
from tasks.steps.package import package_model
from tests.tasks.execution.sessions import SameThreadWorkers, recorded_session

pytestmark = pytest.mark.slow
IGNORED_FILES = {str(modules.module_file(module)) for module in IGNORED_MODULES}
EDITED = 6  # definitions
SMALL = ["dataset.train_limit=64", "dataset.test_limit=64", "training.epochs=1", "depths=[1,2]"]


class Watching(SameThreadWorkers):
    """Records the project's code that each step executes, by compute function.

    Of tasks with the same kinds of inputs it watches the first only, because watching is slow.
    """

    def __init__(self):
        super().__init__()
        self.executed = {}
        self.watched = set()

    def run(self, function, arguments, on_event):
        compute, given = arguments["compute"], arguments["arguments"]
        seen = self.executed.setdefault(compute, set())
        kinds = {name: getattr(value, "task", "") for name, value in given.items()}
        kind = compute, str(kinds), getattr(given.get("spec"), "scenario", "")
        exported = compute is package_model and self.executed[compute]  # takes a minute to watch
        if exported or kind in self.watched:
            return compute(**given)
        self.watched.add(kind)

        def record(frame, event, _argument):
            code = frame.f_code
            if event != "call" or not code.co_filename.startswith(str(ROOT)) or code in seen:
                return
            class_body = code.co_name != "<module>" and not code.co_flags & inspect.CO_OPTIMIZED
            if not class_body and not through_ignored_module(frame):
                seen.add(code)

        sys.setprofile(record)
        try:
            return compute(**given)
        finally:
            sys.setprofile(None)


def through_ignored_module(frame):
    """Whether code runs for a module that carries results: ``Entry.path`` asks for STUDY_HOME."""
    while frame is not None and frame.f_code.co_filename != __file__:
        if frame.f_code.co_filename in IGNORED_FILES:
            return True
        frame = frame.f_back
    return False


class ComputingGraph:
    """Computes each task when it is submitted. Results are as others' results must be."""

    def __init__(self):
        self.groups = {}

    def submit(self, step, identity, group=None, **inputs):
        entry = perform(step, identity, inputs)[0]
        if step.shared:
            check_result(entry.task, entry.result)
        self.groups.setdefault(group or step.name, []).append(entry)
        return entry


@cache
def definitions(module):
    """First and last line of each top-level definition of a module."""
    tree = ast.parse(modules.module_file(module).read_bytes())
    return {
        node.name: (min(one.lineno for one in (node, *node.decorator_list)), node.end_lineno)
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }


def part_of(code):
    """The part of a digest that holds this code; None for code that is not the project's."""
    path = Path(code.co_filename)
    if not path.is_relative_to(ROOT) or path.suffix != ".py":  # templates are code as well
        return None
    parts = path.relative_to(ROOT).with_suffix("").parts
    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    if parts[0] not in PACKAGES or module in IGNORED_MODULES:
        return None
    for name, (first, last) in definitions(module).items():
        if first <= code.co_firstlineno <= last:
            return f"{module}:{name}"
    return f"{module}:"


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The parts that each step of the smoke study executes, by its compute function."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STUDY_HOME", str(tmp_path_factory.mktemp("home")))
        # other tests load users' code: its finder is asked for every import of this process
        finders = [one for one in sys.meta_path if not type(one).__module__.startswith("tasks.")]
        patch.setattr(sys, "meta_path", finders)
        config = load_config("smoke", SMALL)
        workers, graph = Watching(), ComputingGraph()
        with task_session(recorded_session(workers)):
            submit_sections(graph, config, SECTIONS)
            submit_report(graph, config, SECTIONS, graph.groups, [])
        return {
            compute: {part for code in codes if (part := part_of(code))}
            for compute, codes in workers.executed.items()
        }


def test_every_step_was_executed(executed):
    names = {compute.__name__ for compute in executed}
    assert len(names) == 19
    assert min(len(parts) for parts in executed.values()) >= 2


def test_what_a_step_executes_is_in_its_digest(executed):
    for compute, parts in executed.items():
        reached = code_parts(compute.__module__, compute.__name__)
        missing = {part for part in parts - reached.keys() if part[-1] != ":" or runs_code(part)}
        assert missing == set(), compute.__name__


def runs_code(part):
    """Whether a module does something when it is imported besides defining names."""
    return parse_module(part[:-1]).import_time != []


@pytest.fixture
def copied(tmp_path, monkeypatch):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package)
    monkeypatch.setattr(modules, "ROOT", tmp_path)
    clear_code_snapshot()
    yield tmp_path
    clear_code_snapshot()


def insert_statement(root, part):
    """Inserts a statement into a definition in a copy of the project. Returns the text before."""
    module, _, name = part.partition(":")
    path = modules.module_file(module)
    assert path.is_relative_to(root)
    text = path.read_text()
    tree = ast.parse(text)
    (node,) = (one for one in tree.body if getattr(one, "name", "") == name)
    node.body.append(ast.parse("inserted = 1").body[0])
    path.write_text(ast.unparse(tree))
    clear_code_snapshot()
    return path, text


def test_an_edit_of_an_executed_definition_changes_exactly_the_digests_that_hold_it(
    executed, copied
):
    before = {one: code_parts(one.__module__, one.__name__) for one in executed}
    every = sorted({part for parts in executed.values() for part in parts if part[-1] != ":"})
    others = sorted(
        f"{module}:{name}"
        for module in {part.partition(":")[0] for part in every}
        for name in definitions(module)
        if all(f"{module}:{name}" not in parts for parts in before.values())
    )
    assert others
    for part in [*random.Random(0).sample(every, EDITED), *others[:2]]:
        path, text = insert_statement(copied, part)
        for compute, parts in before.items():
            changed = code_parts(compute.__module__, compute.__name__) != parts
            assert changed is (part in parts), (part, compute.__name__)
        path.write_text(text)
        clear_code_snapshot()
