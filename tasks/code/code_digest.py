"""A digest of the code that a function runs: its own and every definition that it reaches.

The definitions are those of the project, or of a user's files (``tasks/own_code/``).

Definitions are compared as parsed code without comments, docstrings and formatting. So rewording
changes no digest, and an edited helper changes the digests of exactly the functions that use it.
A function reaches:

- definitions that it or a reached definition names, through imports of any form and re-exports;
- the import-time statements of each module that contains a reached definition, of the packages
  around it, and of every module that these import.

Modules that carry a result without changing it do not count: ``IGNORED_MODULES``.

A step must not reach code that this cannot follow, such as names that are looked up by text or
computed imports; a test checks that.

Trap: a definition counts under the name of its module. Moving or renaming a module changes the key
of every step that reaches it, and all of these results are computed again.
"""

import ast
import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from tasks.code import modules as projects
from tasks.code.module_code import (
    imported_names,
    is_independent,
    modules_imported_by,
    names_bound_by,
    names_used_in,
    package_of,
    parse_module,
    uses_computed_names,
)
from tasks.code.modules import (
    PACKAGES,
    ModuleCode,
    Modules,
    Name,
    forget_modules,
    module_text,
    modules_around,
)

# Raise it when the digests of unchanged code change; a plan then says that, and names no code.
FORMAT = 2
WHOLE = "*"  # instead of a name: all of a module


def _resolve(target: Name, attributes: tuple[str, ...], modules: Modules) -> Iterator[Name]:
    """All that ``target.attributes`` may refer to.

    That is a name in a module, followed by its attributes unless the module defines it; or a whole
    module if no attribute says what of it is used, as in ``for module in (first, second)``.
    """
    if target.name:
        attributes = (target.name, *attributes)
    elif not attributes:
        yield Name(target.module, WHOLE)
        return
    parsed = parse_module(target.module, modules)
    if parsed is not None:
        yield Name(target.module, ".".join(attributes))
        if attributes[0] in parsed.definitions:
            yield Name(target.module, attributes[0])
    if not target.name and modules.is_module(f"{target.module}.{attributes[0]}"):
        yield from _resolve(Name(f"{target.module}.{attributes[0]}", ""), attributes[1:], modules)


def _counts_whole(module: str, parsed: ModuleCode, modules: Modules) -> bool:
    """Whether a module cannot be followed by names, so that all of it counts."""
    return not modules.trusts_names(module) and uses_computed_names(parsed)


@cache
def _direct_references(name: Name, modules: Modules) -> frozenset[Name]:
    """The names that one definition, or a module's import-time code, refers to."""
    parsed = parse_module(name.module, modules)
    if parsed is None:
        return frozenset()
    found: set[Name] = set()
    if name.name == WHOLE or _counts_whole(name.module, parsed, modules):
        found |= set(_whole(name.module, parsed, modules))
    if name.name == WHOLE:
        return frozenset(one for one in found if modules.is_followed(one.module))
    if name.name:
        found.add(Name(name.module, ""))
        root, *attributes = name.name.split(".")
        found |= set(_imported_as(parsed, root, tuple(attributes), modules))  # exported again
    else:
        found |= {Name(module, "") for module in _packages_around(name.module)}
        found |= {Name(module, "") for module in parsed.imported_modules}
    package = package_of(name.module, modules)
    for node in _statements(parsed, name):
        for inner in ast.walk(node):  # a function runs the modules that it imports
            found |= {Name(module, "") for module in modules_imported_by(inner, package, modules)}
        for root, *attributes in names_used_in(node):
            if root in parsed.definitions:
                found.add(Name(name.module, root))
            found |= set(_imported_as(parsed, root, tuple(attributes), modules))
    return frozenset(one for one in found if _counts(one, modules))


def _counts(name: Name, modules: Modules) -> bool:
    followed = modules.is_followed(name.module)
    return followed and (bool(name.name) or modules.counts_imports(name.module))


def _packages_around(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _whole(module: str, parsed: ModuleCode, modules: Modules) -> Iterator[Name]:
    """Everything that attributes of a module can refer to."""
    yield Name(module, "")
    for defined in parsed.definitions:
        yield Name(module, defined)
    for imported in parsed.imports:
        yield Name(module, imported)
    for star in parsed.imports.get("*", ()):
        yield Name(star.module, WHOLE)
    if _counts_whole(module, parsed, modules):
        yield from (Name(one.module, WHOLE) for names in parsed.imports.values() for one in names)
    if modules.is_package(module):
        for inner in modules.inside(module):
            if modules.is_module(f"{module}.{inner}") and inner != "__init__":
                yield Name(f"{module}.{inner}", WHOLE)


def _statements(parsed: ModuleCode, name: Name) -> list[ast.stmt]:
    return parsed.definitions.get(name.name, []) if name.name else parsed.import_time


def _imported_as(
    parsed: ModuleCode, root: str, attributes: tuple[str, ...], modules: Modules
) -> Iterator[Name]:
    """What ``root.attributes`` may refer to by the imports of a module."""
    for target in parsed.imports.get(root, ()):
        yield from _resolve(target, attributes, modules)
    for star in parsed.imports.get("*", ()):
        yield Name(star.module, "__all__")
        yield from _resolve(Name(star.module, ""), (root, *attributes), modules)


def snapshot_code() -> None:
    """Read all project code now. Later edits of it change no key in this process."""
    for package in PACKAGES:
        for path in (projects.ROOT / package).rglob("*.py"):
            parts = path.relative_to(projects.ROOT).with_suffix("").parts
            module_text(".".join(parts[:-1] if parts[-1] == "__init__" else parts))


@cache
def reached_names(module: str, name: str, modules: Modules) -> frozenset[Name]:
    """Every name whose code ``module.name`` reaches, itself among them."""
    start = Name(module, name)
    seen = {start}
    waiting = [start]
    while waiting:
        for reached in _direct_references(waiting.pop(), modules):
            if reached not in seen:
                seen.add(reached)
                waiting.append(reached)
    return frozenset(seen)


@cache
def code_parts(module: str, name: str, modules: Modules | None = None) -> dict[str, str]:
    """Digest of every definition that ``module.name`` reaches, by ``module:name``.

    ``modules`` are those of the project that the module is of, unless others are given.

    The name is empty for a module's import-time code, and for a file of data, named by its path.
    """
    modules = modules or modules_around(module)
    seen = reached_names(module, name, modules)
    parts: dict[str, str] = {}
    for found in sorted(seen):
        parts |= _own_parts(found, modules)
    for reached_module in {found.module for found in seen}:
        reached = {one.name for one in seen if one.module == reached_module}
        order = _order(reached_module, reached, modules)
        if len(order) > 1:
            part = f"{reached_module}:"
            parts[part] = _sha256(repr((parts.get(part), order)))
    return parts


@cache  # most definitions are reached by several steps
def _own_parts(name: Name, modules: Modules) -> dict[str, str]:
    """The parts that one name adds: its own statements, and the files that they name."""
    parsed = parse_module(name.module, modules)
    if parsed is None:
        return {}
    nodes = _statements(parsed, name)
    bindings = _bindings(name, parsed, nodes, modules)
    if not nodes and not bindings:
        return {}
    dump = "\n".join(ast.dump(node) for node in nodes)
    parts = {f"{name.module}:{name.name}": _sha256(repr((dump, bindings)))}
    for path in _data_files(name.module, nodes, modules):
        file = path.relative_to(projects.ROOT).as_posix()
        parts[f"{file}:"] = _sha256(path.read_text(encoding="utf-8"))
    return parts


def _bindings(
    name: Name, parsed: ModuleCode, nodes: list[ast.stmt], modules: Modules
) -> list[object]:
    """What the names that a definition uses are imported from, and which imports find a module.

    The definition itself does not show that: ``from math import sin as wave``.
    """
    roots = {root for node in nodes for root, *_ in names_used_in(node)}
    if name.name:
        roots.add(name.name.split(".", maxsplit=1)[0])
    stars = parsed.imports.get("*", [])
    found: list[object] = [
        (root, parsed.imports[root])
        for root in sorted(roots & parsed.imports.keys())
        if root != WHOLE
    ]
    if stars and not roots <= parsed.imports.keys() | parsed.definitions.keys():
        found.append(stars)
    package = package_of(name.module, modules)
    imported = (
        module
        for node in nodes
        for inner in ast.walk(node)
        for module in modules_imported_by(inner, package, modules)
    )
    return found + [module for module in imported if modules.is_followed(module)]


def _order(module: str, reached: set[str], modules: Modules) -> list[object]:
    """What happens in which order when a module is imported, as far as the order matters.

    ``reached`` are the names of the module that count. Functions and constants may be defined in
    any order, and imports of modules that only define something may be sorted.
    """
    parsed = parse_module(module, modules)
    if parsed is None:
        return []
    package = package_of(module, modules)
    order: list[object] = []
    for node in parsed.statements:
        if isinstance(node, ast.Import | ast.ImportFrom):
            imported = modules_imported_by(node, package, modules)
            order += [one for one in imported if _changes_others(one, modules)]
            bound = [one for one, _ in imported_names(node, package, modules)]
            order += [(one,) for one in bound if one in reached & parsed.definitions.keys()]
        elif node in parsed.import_time:
            order.append("")
        else:
            names = reached & set(names_bound_by(node))
            if not is_independent(node) or any(_is_rebound(one, parsed) for one in names):
                order += [(one,) for one in sorted(names)]
    return order


def _is_rebound(name: str, parsed: ModuleCode) -> bool:
    return len(parsed.definitions[name]) > 1 or name in parsed.imports


@cache
def _changes_others(module: str, modules: Modules) -> bool:
    """Whether importing a module may change something besides the names that modules define."""
    seen = {module}
    waiting = [module]
    while waiting:
        parsed = parse_module(one := waiting.pop(), modules)
        if parsed is None:
            continue
        if parsed.import_time:
            return True
        inner = {*parsed.imported_modules, *_packages_around(one)} - seen
        seen |= inner
        waiting += inner
    return False


def _data_files(module: str, nodes: list[ast.stmt], modules: Modules) -> list[Path]:
    """The files that the code of a module names."""
    parts = (part for node in nodes for part in ast.walk(node))
    constants = (part.value for part in parts if isinstance(part, ast.Constant))
    return modules.data_files(module, {one for one in constants if isinstance(one, str)})


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@cache  # every task asks for it, and most tasks share a step
def code_digest(function: Callable[..., object]) -> str:
    """One digest of all the code that a top-level project function reaches, in hex."""
    return digest_of_parts(code_parts(function.__module__, function.__name__))


def digest_of_parts(parts: dict[str, str]) -> str:
    """One digest of the parts that ``code_parts`` returned, in hex."""
    return _sha256(repr(sorted(parts.items())))


def clear_code_snapshot() -> None:
    """Forget the code that was read; it is read again when it is needed."""
    forget_modules()
    parse_module.cache_clear()
    _direct_references.cache_clear()
    _own_parts.cache_clear()
    _changes_others.cache_clear()
    reached_names.cache_clear()
    code_parts.cache_clear()
    code_digest.cache_clear()


def part_file(part: str) -> Path:
    """The file of a part of an earlier ``code_parts``, whether it still exists or not."""
    module = part.partition(":")[0]
    if "/" in module:  # a file of data
        return projects.ROOT / module
    return modules_around(module).file(module)


def shown_part(part: str) -> str:
    """The file of a part below the folder of its project, as a text for users."""
    file = part_file(part)
    root = modules_around(part.partition(":")[0].split("/")[0]).root
    return file.relative_to(root).as_posix()
