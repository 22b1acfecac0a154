"""One module of the project as parsed code: its definitions, imports and import-time statements.

Comments, docstrings and formatting are left out.
"""

import ast
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("models", "tasks", "flows")
# The code of these modules is in no key: they carry, show or log a result and never change it.
# Trap: nothing that can change a result may move into them, or its edits go unnoticed; and a module
# of this list that moves must be renamed here, or it enters every key.
IGNORED_MODULES = {
    "tasks.artifacts.worker",
    "tasks.cache.checkpoints",
    "tasks.cache.entry",
    "tasks.cache.step",
    "tasks.cache.store",
}
_parser_lock = threading.Lock()  # Python 3.11 sometimes fails when two threads parse at once


class Name(NamedTuple):
    """A top-level name of a project module; an empty name is the module's import-time code."""

    module: str
    name: str


class ModuleCode(NamedTuple):
    """A parsed module.

    ``imports`` lists what each imported name may refer to, wherever in the module it is imported;
    its key ``"*"`` lists the modules of star imports. ``imported_modules`` are imported when this
    module is. ``import_time`` are the top-level statements that do more than define a name.
    """

    definitions: dict[str, list[ast.stmt]]
    imports: dict[str, set[Name]]
    imported_modules: set[str]
    import_time: list[ast.stmt]


@cache
def module_file(module: str) -> Path | None:
    """The file of a project module; None if there is none."""
    if module.split(".", maxsplit=1)[0] not in PACKAGES:
        return None
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def is_followed(module: str) -> bool:
    """Whether the code of a module counts: it is one of the project's and is not ignored."""
    return module not in IGNORED_MODULES and module_file(module) is not None


def _remove_documentation(tree: ast.AST) -> None:
    """Remove docstrings and the descriptions of pydantic's fields."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Field":
            node.keywords = [word for word in node.keywords if word.arg != "description"]
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body
            first = body[0] if body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = body[1:] or [ast.Pass()]


def _is_type_checking(node: ast.AST) -> bool:
    """Whether a statement is ``if TYPE_CHECKING:``, whose imports never run."""
    return isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"


def _imported_names(node: ast.AST, package: str) -> Iterator[tuple[str, Name]]:
    """The names that an import binds in a module of this package, and what each refers to."""
    if isinstance(node, ast.ImportFrom):
        above = package.split(".")
        base = ".".join(above[: len(above) + 1 - node.level]) if node.level else ""
        base = ".".join(part for part in (base, node.module) if part)
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            target = Name(inner, "") if module_file(inner) else Name(base, alias.name)
            yield alias.asname or alias.name, target
    elif isinstance(node, ast.Import):
        for alias in node.names:
            bound = alias.name if alias.asname else alias.name.split(".")[0]
            yield alias.asname or bound, Name(bound, "")


def modules_imported_by(node: ast.AST, package: str) -> Iterator[str]:
    """The modules that an import statement in a module of this package imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    yield from (name.module for _, name in _imported_names(node, package))


@cache
def module_text(module: str) -> str | None:
    """The source of a module whose code counts, as it was at the first call; None for others."""
    path = module_file(module) if is_followed(module) else None
    return path.read_text(encoding="utf-8") if path else None


def package_of(module: str) -> str:
    """The package in which relative imports of a module start."""
    path = module_file(module)
    return module if path and path.name == "__init__.py" else module.rpartition(".")[0]


@cache
def parse_module(module: str) -> ModuleCode | None:
    """A module whose code counts, parsed; None for others."""
    text = module_text(module)
    if text is None:
        return None
    with _parser_lock:
        tree = ast.parse(text)
    _remove_documentation(tree)
    tree.body = [node for node in tree.body if not _is_type_checking(node)]
    parsed = ModuleCode({}, {}, set(), [])
    package = package_of(module)
    for node in ast.walk(tree):  # imports inside functions count as well
        for bound, target in _imported_names(node, package):
            parsed.imports.setdefault(bound, set()).add(target)
    for node in tree.body:
        _add_statement(parsed, node, package)
    return parsed


def _add_statement(parsed: ModuleCode, node: ast.stmt, package: str) -> None:
    """Add one top-level statement to the definitions, imports or import-time statements."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        parsed.imported_modules.update(modules_imported_by(node, package))
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        parsed.definitions.setdefault(node.name, []).append(node)
        if any(_is_of_project(one, parsed) for one in node.decorator_list):
            parsed.import_time.append(node)  # a decorator may register it somewhere
    elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            for leaf in ast.walk(target):
                if isinstance(leaf, ast.Name):
                    parsed.definitions.setdefault(leaf.id, []).append(node)
            if any(isinstance(leaf, ast.Attribute | ast.Subscript) for leaf in ast.walk(target)):
                parsed.import_time.append(node)  # it changes an object that is defined elsewhere
    elif not isinstance(node, ast.Pass):
        parsed.import_time.append(node)
        for inner in ast.walk(node):  # as in try: import a except ImportError: ...
            parsed.imported_modules.update(modules_imported_by(inner, package))


def _is_of_project(decorator: ast.expr, parsed: ModuleCode) -> bool:
    for root, *_ in names_used_in(decorator):
        if root in parsed.definitions:
            return True
        if any(is_followed(name.module) for name in parsed.imports.get(root, ())):
            return True
    return False


def names_used_in(node: ast.AST) -> Iterator[tuple[str, ...]]:
    """The names that code uses, each followed by its attributes: ``("a", "b", "c")`` for a.b.c."""
    for part in ast.walk(node):
        attributes: list[str] = []
        value = part
        while isinstance(value, ast.Attribute):
            attributes.insert(0, value.attr)
            value = value.value
        if isinstance(value, ast.Name):
            yield value.id, *attributes
