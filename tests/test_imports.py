"""House rules that an import can break. Every import counts: in functions and for types, too."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# A file imports its own room and the rooms before it. A room is a folder or a file.
ORDER = [
    "models.messages",
    "models.specs",
    "models.random_streams",
    "models.exported",
    "models.networks",
    "models.objectives",
    "models.training",
    "models.fast",
    "models.engines",
    "models.inference",
    "models.fit",
    "models.measures",
    "models.theory",
    "tasks.system",
    "tasks.datasets",
    "tasks.code",
    "tasks.cache",
    "tasks.own_code",
    "tasks.artifacts",
    "tasks.analysis",
    "tasks.verdicts",
    "tasks.reporting",
    "tasks.tracking",
    "tasks.registry",
    "tasks.execution",
    "tasks.steps",
    "flows.configuration",
    "flows.servers",
    "flows.lifecycle",
    "flows.graph",
    "flows.representation",
    "flows.sections",
    "flows.past_runs",
    "flows.planned",
    "flows.plan",
    "flows.prefect_graph",
    "flows.invocation",
    "flows.study",
    "flows.launch",
    "flows.pipeline",
    "flows.api",
    "flows.scheduled_runs",
    "flows.commands",
]
PACKAGES = ("models", "tasks", "flows")


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(path): path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))}


def room_of(module):
    return ".".join(module.split(".")[:2])


def imports(tree, modules=FILES):
    """The modules of the project that a parsed file imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide which room they lead to"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in modules else node.module for name in inner]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] in PACKAGES)


def libraries(tree):
    """The top-level packages that a parsed file imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)


TREES = {module: ast.parse(path.read_text()) for module, path in FILES.items()}


def against_the_order(module, tree):
    """The imports of a file that lead to a room after its own."""
    mine = ORDER.index(room_of(module))
    return [name for name in imports(tree) if ORDER.index(room_of(name)) > mine]


def cycle_in(trees):
    """Files that import each other, if there are any."""
    graph = {module: set(imports(tree, trees)) & trees.keys() for module, tree in trees.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


@pytest.mark.parametrize("module", [m for m in FILES if m not in PACKAGES])
def test_imports_between_rooms_go_one_way(module):
    assert against_the_order(module, TREES[module]) == []


def test_no_files_import_each_other():
    assert cycle_in(TREES) == []


def test_steps_do_not_import_each_other():
    for module, tree in TREES.items():
        if module.startswith("tasks.steps."):
            assert not [name for name in imports(tree) if name.startswith("tasks.steps")], module


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("models.fit", "from models.measures.pca import fit_pca"),
        ("tasks.cache.store", "def load():\n    from tasks.tracking import client"),
        (
            "tasks.reporting.page",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tasks.steps.train",
        ),
        ("flows.servers.health", "from flows.lifecycle import recovery"),
        ("models.specs", "from tasks.system import folders"),
    ],
)
def test_an_import_against_the_order_is_found(module, text):
    assert against_the_order(module, ast.parse(text))


def test_a_cycle_is_found_though_it_hides_in_a_function():
    first = ast.parse("def f():\n    from tasks.b import g")
    second = ast.parse("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tasks.a")
    assert cycle_in({"tasks.a": first, "tasks.b": second})


def parts_before_the_whole(tree, library="mlflow"):
    """Imports of a part of a library before the library itself, in a file as it is read."""
    found, whole = [], False
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
            whole |= library in names
            found += [one for one in names if one.startswith(f"{library}.") and not whole]
        elif isinstance(node, ast.FunctionDef | ast.ClassDef) and not whole:
            found += parts_before_the_whole(node, library)
    return found


@pytest.mark.parametrize("module", FILES)
def test_mlflow_is_imported_whole_before_its_parts(module):
    """Or two threads may get it half imported.

    ``from mlflow.a import b`` locks ``mlflow.a``, then waits for ``mlflow``. A thread that imports
    ``mlflow`` meanwhile waits for ``mlflow.a``, so Python lets one of them go on without.
    """
    assert parts_before_the_whole(TREES[module]) == []


@pytest.mark.parametrize(
    "text",
    [
        "from mlflow.entities import Run\nimport mlflow",
        "import mlflow.entities",
        "def f():\n    from mlflow.utils import g",
        "class A:\n    def f(self):\n        from mlflow.utils import g",
    ],
)
def test_a_part_before_the_whole_is_found(text):
    assert parts_before_the_whole(ast.parse(text))


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("matplotlib", ("tasks.reporting.plots",)),
        ("mlflow", ("tasks.tracking.", "tasks.registry.")),
    ],
)
def test_only_some_rooms_import(library, homes):
    importers = {module for module, tree in TREES.items() if library in libraries(tree)}
    assert importers
    assert all(importer.startswith(homes) for importer in importers)


def test_models_are_pure_torch():
    """In every sub-package, as seen from a process that imports all of ``models``."""
    modules = ", ".join(module for module in FILES if module.startswith("models"))
    forbidden = {"prefect", "mlflow", "pandas", "matplotlib", "tasks", "flows"}
    check = f"import sys, {modules}; assert not {forbidden} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT)


ROOMS = [path.parent for path in FILES.values() if path.name == "__init__.py"]


@pytest.mark.parametrize("room", ROOMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_says_what_it_is_for_and_is_small(room):
    says = ast.get_docstring(ast.parse((room / "__init__.py").read_text()))
    assert says
    assert "import" in says.lower(), "say what the room may import"
    assert len(list(room.glob("*.py"))) <= 15  # with __init__.py
