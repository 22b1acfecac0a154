"""One module as parsed code: its definitions, imports and import-time statements.

Comments, docstrings and formatting are left out. ``Modules`` is where modules are found: those of
the project, or the files of a user.
"""

import ast
import builtins
import threading
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("models", "tasks", "flows")
TEMPLATES = "tasks/reporting/templates"
# The code of these modules is in no key: they carry, show or log a result and never change it.
# Trap: nothing that can change a result may move into them, or its edits go unnoticed; and a module
# of this list that moves must be renamed here, or it enters every key.
IGNORED_MODULES = {
    "tasks.artifacts.worker",
    "tasks.cache.checkpoints",
    "tasks.cache.entry",
    "tasks.cache.step",
    "tasks.cache.store",
    "tasks.own_code.registry",  # what a computation may run is named by its digest in the key
}
# Calls of these libraries at import time make a value and change nothing else.
MODULES_OF_VALUES = {"pydantic", "re", "typing"}
_parser_lock = threading.Lock()  # Python 3.11 sometimes fails when two threads parse at once


class Name(NamedTuple):
    """A top-level name of a module; an empty name is the module's import-time code."""

    module: str
    name: str


class ModuleCode(NamedTuple):
    """A parsed module.

    ``imports`` lists what each imported name may refer to, wherever in the module it is imported;
    its key ``"*"`` lists the modules of star imports. ``imported_modules`` are imported when this
    module is. ``statements`` are those at top level, ``import_time`` those of them that may change
    something besides the names that they define.
    """

    definitions: dict[str, list[ast.stmt]]
    imports: dict[str, list[Name]]
    imported_modules: set[str]
    statements: list[ast.stmt]
    import_time: list[ast.stmt]


class Modules(Protocol):
    """Where modules are found. Equal ones have equal modules: what is parsed is cached by them."""

    def __hash__(self) -> int:
        """Equal for equal modules."""

    def is_module(self, module: str) -> bool:
        """Whether there is such a module, or a folder of this name, which Python also imports."""

    def is_package(self, module: str) -> bool:
        """Whether relative imports of a module start in it, and not in the package around it."""

    def is_followed(self, module: str) -> bool:
        """Whether the code of a module counts."""

    def text(self, module: str) -> bytes | None:
        """The source of a module whose code counts; None for others."""

    def inside(self, module: str) -> list[str]:
        """The names, without a dot, that modules in a package may have."""

    def counts_whole(self, parsed: ModuleCode) -> bool:
        """Whether a module cannot be followed by names, so that all of it counts."""

    def templates(self) -> list[Path]:
        """Files that count if code names one of them."""


@cache
def module_file(module: str) -> Path | None:
    """The file of a project module; None if there is none."""
    if module.split(".", maxsplit=1)[0] not in PACKAGES:
        return None
    base = ROOT.joinpath(*module.split("."))
    for path in (base / "__init__.py", base.with_suffix(".py")):  # in Python's order
        if path.is_file():
            return path
    return None


@cache
def is_module(module: str) -> bool:
    """Whether the project has this module, or a folder of this name, which Python also imports."""
    if module_file(module) is not None:
        return True
    parts = module.split(".")
    return parts[0] in PACKAGES and ROOT.joinpath(*parts).is_dir()


def is_followed(module: str) -> bool:
    """Whether the code of a module counts: it is one of the project's and is not ignored."""
    return module not in IGNORED_MODULES and module_file(module) is not None


@cache
def module_text(module: str) -> bytes | None:
    """The source of a module whose code counts, as it was at the first call; None for others."""
    path = module_file(module) if is_followed(module) else None
    return path.read_bytes() if path else None


class ProjectModules:
    """The modules of this project, as they were when each was first read."""

    is_module = staticmethod(is_module)
    is_followed = staticmethod(is_followed)

    def is_package(self, module: str) -> bool:
        """Whether a module is the file of a package."""
        path = module_file(module)
        return path is not None and path.name == "__init__.py"

    def text(self, module: str) -> bytes | None:
        """The source of a module, as it was at the first call."""
        return module_text(module)

    def inside(self, module: str) -> list[str]:
        """The names of files in the folder of a package."""
        path = module_file(module)
        return [] if path is None else [one.stem for one in path.parent.iterdir()]

    def counts_whole(self, parsed: ModuleCode) -> bool:
        """Never: a test checks that steps reach no code that cannot be followed."""
        return False

    def templates(self) -> list[Path]:
        """The templates of reports."""
        return sorted(p for p in (ROOT / TEMPLATES).iterdir() if p.suffix in {".j2", ".css"})


PROJECT = ProjectModules()


def _remove_documentation(tree: ast.Module) -> None:
    """Remove docstrings and the descriptions of pydantic's fields."""
    described = any(
        isinstance(node, ast.ImportFrom)
        and node.module == "pydantic"
        and any(alias.name == "Field" and not alias.asname for alias in node.names)
        for node in tree.body
    )
    for node in ast.walk(tree):
        if described and isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Field":
            node.keywords = [word for word in node.keywords if word.arg != "description"]
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body
            first = body[0] if body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = body[1:] or [ast.Pass()]


def _that_run(body: list[ast.stmt]) -> list[ast.stmt]:
    """Statements without ``if TYPE_CHECKING:``, of which only ``else:`` runs."""
    found: list[ast.stmt] = []
    for node in body:
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            found += _that_run(node.orelse)
        else:
            found.append(node)
    return found


def imported_names(node: ast.AST, package: str, modules: Modules) -> Iterator[tuple[str, Name]]:
    """The names that an import binds in a module of this package, and what each may refer to.

    A name of a package may be a submodule, and also something else that the package calls so.
    """
    if isinstance(node, ast.ImportFrom):
        above = package.split(".")
        base = ".".join(above[: len(above) + 1 - node.level]) if node.level else ""
        base = ".".join(part for part in (base, node.module) if part)
        for alias in node.names:
            bound = alias.asname or alias.name
            yield bound, Name(base, alias.name)
            inner = f"{base}.{alias.name}".removeprefix(".")
            if modules.is_module(inner):
                yield bound, Name(inner, "")
    elif isinstance(node, ast.Import):
        for alias in node.names:
            parent, _, last = alias.name.rpartition(".")
            if alias.asname and parent:
                yield alias.asname, Name(parent, last)
            bound = alias.name if alias.asname else alias.name.split(".")[0]
            yield alias.asname or bound, Name(bound, "")


def modules_imported_by(node: ast.AST, package: str, modules: Modules) -> Iterator[str]:
    """The modules that an import statement in a module of this package imports, in order."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (name.module for _, name in imported_names(node, package, modules))


def package_of(module: str, modules: Modules) -> str:
    """The package in which relative imports of a module start; empty beside a user's file."""
    return module if modules.is_package(module) else module.rpartition(".")[0]


def parse(text: bytes | str) -> ast.Module:
    """The parsed source of a module. Raises SyntaxError, and what ``ast.parse`` also raises."""
    with _parser_lock:
        return ast.parse(text)


@cache
def parse_module(module: str, modules: Modules = PROJECT) -> ModuleCode | None:
    """A module whose code counts, parsed; None for others."""
    text = modules.text(module)
    if text is None:
        return None
    tree = parse(text)
    _remove_documentation(tree)
    tree.body = _that_run(tree.body)
    parsed = ModuleCode({}, {}, set(), tree.body, [])
    package = package_of(module, modules)
    for node in ast.walk(tree):  # imports inside functions count as well
        for bound, target in imported_names(node, package, modules):
            targets = parsed.imports.setdefault(bound, [])
            if target not in targets:
                targets.append(target)
    for node in tree.body:
        for inner in _run_at_import(node):
            parsed.imported_modules.update(modules_imported_by(inner, package, modules))
        for name in names_bound_by(node):
            parsed.definitions.setdefault(name, []).append(node)
    parsed.import_time.extend(
        node for node in tree.body if _may_change_others(node, parsed, modules)
    )
    return parsed


def names_bound_by(node: ast.stmt) -> list[str]:
    """The names that a definition or an assignment at top level defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        leaves = (leaf for target in targets for leaf in ast.walk(target))
        return [leaf.id for leaf in leaves if isinstance(leaf, ast.Name)]
    return []


def is_independent(node: ast.stmt) -> bool:
    """Whether a definition reads nothing when it runs: its place in the module does not matter."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        read = [*node.decorator_list, *node.args.defaults, *node.args.kw_defaults]
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        read = [node.value]
    else:
        return False
    return not any(
        isinstance(part, ast.Name | ast.Call) for one in read if one for part in ast.walk(one)
    )


def _run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a top-level statement that run when its module is imported.

    Without the bodies of functions, which run when they are called.
    """
    yield node
    inner: Iterable[ast.AST | None] = ast.iter_child_nodes(node)
    if isinstance(node, ast.Lambda):
        inner = []
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        inner = [*node.decorator_list, *node.args.defaults, *node.args.kw_defaults]
    for part in inner:
        if part is not None:
            yield from _run_at_import(part)


def _may_change_others(node: ast.stmt, parsed: ModuleCode, modules: Modules) -> bool:
    """Whether a top-level statement may change more than the names that it defines.

    A definition may register itself in a table, by a decorator, a default or a class body.
    """
    if isinstance(node, ast.Import | ast.ImportFrom | ast.Pass):
        return False
    if not names_bound_by(node) or isinstance(node, ast.AugAssign):  # += may change a list
        return True
    in_definition = not isinstance(node, ast.Assign | ast.AnnAssign)
    decorators = {id(one) for part in ast.walk(node) for one in getattr(part, "decorator_list", [])}
    return any(
        isinstance(part, ast.AugAssign | ast.Delete | ast.NamedExpr)
        or (isinstance(part, ast.Attribute | ast.Subscript) and not isinstance(part.ctx, ast.Load))
        or (
            isinstance(part, ast.Call)
            and _call_may_change_others(part, parsed, modules, in_definition)
        )
        or (id(part) in decorators and _is_followed_code(part, parsed, modules))
        for part in _run_at_import(node)
    )


def _call_may_change_others(
    call: ast.Call, parsed: ModuleCode, modules: Modules, in_definition: bool
) -> bool:
    """Whether a call at import time may change something.

    Inside definitions, where calls of libraries describe fields, only calls that name something
    whose code counts do.
    """
    root = next(names_used_in(call.func), ("",))[0]
    called = parsed.imports.get(root, [])
    if called and all(
        name.module in IGNORED_MODULES or name.module in MODULES_OF_VALUES for name in called
    ):
        return False
    return not in_definition or _is_followed_code(call, parsed, modules)


def _is_followed_code(node: ast.AST, parsed: ModuleCode, modules: Modules) -> bool:
    """Whether code names something whose code counts. Names that are not known here do."""
    for root, *_ in names_used_in(node):
        targets = parsed.imports.get(root, [])
        if any(modules.is_followed(name.module) for name in targets):
            return True
        if root in parsed.definitions or not (targets or hasattr(builtins, root)):
            return True
    return False


def names_used_in(node: ast.AST) -> Iterator[tuple[str, ...]]:
    """The names that code uses, each with all of its attributes: ``("a", "b", "c")`` for a.b.c.

    Annotations that are written as text are read as well, because pydantic evaluates them.
    """
    attributes: list[str] = []
    value = node
    while isinstance(value, ast.Attribute):
        attributes.insert(0, value.attr)
        value = value.value
    if isinstance(value, ast.Name):
        yield value.id, *attributes
        return
    for field in ("annotation", "returns"):
        annotation = getattr(node, field, None)
        for part in ast.walk(annotation) if annotation else ():
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield from _names_in_text(part.value)
    for inner in ast.iter_child_nodes(node):
        yield from names_used_in(inner)


def _names_in_text(text: str) -> Iterator[tuple[str, ...]]:
    try:
        with _parser_lock:
            tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError):
        return
    yield from names_used_in(tree.body)
