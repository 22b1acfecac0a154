"""House rules that imports can break."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = {
    "models": {"models"},
    "tasks": {"models", "tasks"},
    "flows": {"models", "tasks", "flows"},
}
FILES = [path for package in ALLOWED for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path):
    package = path.relative_to(ROOT).parts[0]
    ours = set(imported(path)) & set(ALLOWED)
    assert ours <= ALLOWED[package]


@pytest.mark.parametrize(
    ("library", "home"), [("matplotlib", "tasks/plots.py"), ("mlflow", "tasks/tracking/")]
)
def test_one_file_imports(library, home):
    importers = {str(p.relative_to(ROOT)) for p in FILES if library in imported(p)}
    assert importers
    assert all(importer.startswith(home) for importer in importers)


def test_models_stay_pure_torch():
    modules = ", ".join(
        f"models.{path.stem}" for path in (ROOT / "models").glob("*.py") if path.stem != "__init__"
    )
    check = (
        f"import sys, models, {modules}; "
        "assert not {'prefect', 'mlflow', 'pandas', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT)
