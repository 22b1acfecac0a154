"""One module as parsed code: its definitions, imports and import-time statements.

Comments, docstrings and formatting are left out.
"""

import ast
import builtins
import threading
from collections.abc import Iterable, Iterator
from functools import cache

from tasks.code.modules import IGNORED_MODULES, PROJECT, ModuleCode, Modules, Name

# Calls of these libraries at import time make a value and change nothing else.
MODULES_OF_VALUES = {"pydantic", "re", "typing"}
# A module that uses one of these may use anything by a computed name.
COMPUTED_NAMES = {"__builtins__", "__import__", "compile", "eval", "exec", "globals", "vars"}
MODULES_OF_COMPUTED_NAMES = {"builtins", "importlib", "pkgutil", "runpy"}
NEVER_IMPORTED = {"TYPE_CHECKING", "__name__ == '__main__'"}  # conditions of what does not run
_parser_lock = threading.Lock()  # Python 3.11 sometimes fails when two threads parse at once


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
    """Statements without ``if TYPE_CHECKING:`` and ``if __name__ == "__main__":``.

    Of these only ``else:`` runs when the module is imported.
    """
    found: list[ast.stmt] = []
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test) in NEVER_IMPORTED:
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


def uses_computed_names(parsed: ModuleCode) -> bool:
    """Whether a module has star imports, or looks names up by text: then all of it counts."""
    if "*" in parsed.imports:
        return True
    imported = {
        root
        for root, names in parsed.imports.items()
        if any(name.module.split(".")[0] in MODULES_OF_COMPUTED_NAMES for name in names)
    }
    return any(
        root in COMPUTED_NAMES | imported or (root, *attributes)[:2] == ("sys", "modules")
        for node in parsed.statements
        for root, *attributes in names_used_in(node)
    )
