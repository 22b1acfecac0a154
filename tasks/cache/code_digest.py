"""A digest of the code that a function runs: its own and every project definition that it reaches.

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

from tasks.cache import module_code
from tasks.cache.module_code import (
    PACKAGES,
    ModuleCode,
    Name,
    is_followed,
    module_file,
    module_text,
    modules_imported_by,
    names_used_in,
    package_of,
    parse_module,
)

TEMPLATES = "tasks/reporting/templates"


def _resolve(target: Name, attributes: tuple[str, ...]) -> Name:
    """What ``target.attributes`` refers to: a submodule, or a name in a module."""
    for attribute in attributes:
        if target.name:
            break
        inner = f"{target.module}.{attribute}"
        target = Name(inner, "") if module_file(inner) else Name(target.module, attribute)
    return target


@cache
def _direct_references(name: Name) -> frozenset[Name]:
    """The project names that one definition, or a module's import-time code, refers to."""
    parsed = parse_module(name.module)
    if parsed is None:
        return frozenset()
    found: set[Name] = set()
    if name.name:
        found.add(Name(name.module, ""))
    else:
        parts = name.module.split(".")
        found |= {Name(".".join(parts[:end]), "") for end in range(1, len(parts))}
        found |= {Name(module, "") for module in parsed.imported_modules}
    package = package_of(name.module)
    for node in _statements(parsed, name):
        for inner in ast.walk(node):  # a function runs the modules that it imports
            found |= {Name(module, "") for module in modules_imported_by(inner, package)}
        for root, *attributes in names_used_in(node):
            found |= set(_possible_targets(name.module, parsed, root, tuple(attributes)))
    if name.name and name.name not in parsed.definitions:  # a re-export
        found |= set(_possible_targets(name.module, parsed, name.name, ()))
    return frozenset(one for one in found if is_followed(one.module))


def _statements(parsed: ModuleCode, name: Name) -> list[ast.stmt]:
    return parsed.definitions.get(name.name, []) if name.name else parsed.import_time


def _possible_targets(
    module: str, parsed: ModuleCode, root: str, attributes: tuple[str, ...]
) -> Iterator[Name]:
    """What ``root.attributes`` may refer to in a module."""
    if root in parsed.definitions:
        yield Name(module, root)
    for target in parsed.imports.get(root, ()):
        yield _resolve(target, attributes)
    if root not in parsed.definitions and root not in parsed.imports:
        for target in parsed.imports.get("*", ()):
            yield Name(target.module, root)


def snapshot_code() -> None:
    """Read all project code now. Later edits of it change no key in this process."""
    for package in PACKAGES:
        for path in (module_code.ROOT / package).rglob("*.py"):
            parts = path.relative_to(module_code.ROOT).with_suffix("").parts
            module_text(".".join(parts[:-1] if parts[-1] == "__init__" else parts))


@cache
def code_parts(module: str, name: str) -> dict[str, str]:
    """Digest of every project definition that ``module.name`` reaches, by ``module:name``.

    The name is empty for a module's import-time code, and for a template, named by its path.
    """
    start = Name(module, name)
    seen = {start}
    waiting = [start]
    while waiting:
        for reached in _direct_references(waiting.pop()):
            if reached not in seen:
                seen.add(reached)
                waiting.append(reached)
    parts: dict[str, str] = {}
    for found in sorted(seen):
        parts |= _own_parts(found)
    return parts


@cache  # most definitions are reached by several steps
def _own_parts(name: Name) -> dict[str, str]:
    """The parts that one name adds: its own statements, and the templates that they name."""
    parsed = parse_module(name.module)
    nodes = _statements(parsed, name) if parsed else []
    if not nodes:
        return {}
    dump = "\n".join(ast.dump(node) for node in nodes)
    parts = {f"{name.module}:{name.name}": _sha256(dump)}
    for path in _templates(nodes):
        template = path.relative_to(module_code.ROOT).as_posix()
        parts[f"{template}:"] = _sha256(path.read_text(encoding="utf-8"))
    return parts


def _templates(nodes: list[ast.stmt]) -> Iterator[Path]:
    """All templates if the code names one: templates include each other and contain code."""
    parts = (part for node in nodes for part in ast.walk(node))
    if any(isinstance(p, ast.Constant) and str(p.value).endswith(".j2") for p in parts):
        yield from sorted(
            p for p in (module_code.ROOT / TEMPLATES).iterdir() if p.suffix in {".j2", ".css"}
        )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@cache  # every task asks for it, and most tasks share a step
def code_digest(function: Callable[..., object]) -> str:
    """One digest of all the code that a top-level project function reaches, in hex."""
    parts = code_parts(function.__module__, function.__name__)
    return _sha256(repr(sorted(parts.items())))


def clear_code_snapshot() -> None:
    """Forget the code that was read; it is read again when it is needed."""
    module_file.cache_clear()
    module_text.cache_clear()
    parse_module.cache_clear()
    _direct_references.cache_clear()
    _own_parts.cache_clear()
    code_parts.cache_clear()
    code_digest.cache_clear()


def part_file(part: str) -> Path:
    """The file of a part of an earlier ``code_parts``, whether it still exists or not."""
    module = part.partition(":")[0]
    if "/" in module:  # a template
        return module_code.ROOT / module
    return module_file(module) or module_code.ROOT.joinpath(*module.split(".")).with_suffix(".py")
