"""A digest of the code that a function runs: itself and every project definition it reaches.

Definitions are compared as parsed code without comments, docstrings and formatting, so rewording
changes nothing and an edited helper changes exactly the functions that use it. What is reached:

- definitions that a reached definition names, through imports of any form and re-exports;
- what a module does when it is imported, beside defining names: of each module that holds a
  reached definition, of the packages around it, and of all that these import.

Code that this cannot follow (names looked up by text, imports of computed names) must not be
reached by a step; a test refuses it.
"""

import ast
import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tasks.cache import module_code
from tasks.cache.module_code import (
    PACKAGES,
    ModuleCode,
    Name,
    is_followed,
    module_file,
    module_text,
    modules_run_by,
    names_used_in,
    package_of,
    parse_module,
)

TEMPLATES = "tasks/reporting/templates"


def _resolved(target: Name, attributes: tuple[str, ...]) -> Name:
    """What ``target.attributes`` stands for: a submodule's name, or a name of a module."""
    for attribute in attributes:
        if target.name:
            break
        inner = f"{target.module}.{attribute}"
        target = Name(inner, "") if module_file(inner) else Name(target.module, attribute)
    return target


@cache
def _reached(name: Name) -> frozenset[Name]:
    """The project names that one definition, or a module's own effects, refer to."""
    parsed = parse_module(name.module)
    if parsed is None:
        return frozenset()
    found: set[Name] = set()
    if name.name:
        found.add(Name(name.module, ""))
    else:
        parts = name.module.split(".")
        found |= {Name(".".join(parts[:end]), "") for end in range(1, len(parts))}
        found |= {Name(module, "") for module in parsed.runs}
    for node in _statements(parsed, name):
        for inner in ast.walk(node):  # what a function imports runs when it is called
            found |= {Name(module, "") for module in modules_run_by(inner, package_of(name.module))}
        for root, *attributes in names_used_in(node):
            found |= set(_meanings(name.module, parsed, root, tuple(attributes)))
    if name.name and name.name not in parsed.definitions:  # a re-export
        found |= set(_meanings(name.module, parsed, name.name, ()))
    return frozenset(one for one in found if is_followed(one.module))


def _statements(parsed: ModuleCode, name: Name) -> list[ast.stmt]:
    return parsed.definitions.get(name.name, []) if name.name else parsed.effects


def _meanings(
    module: str, parsed: ModuleCode, root: str, attributes: tuple[str, ...]
) -> Iterator[Name]:
    """What a name may stand for in a module."""
    if root in parsed.definitions:
        yield Name(module, root)
    for target in parsed.imports.get(root, ()):
        yield _resolved(target, attributes)
    if root not in parsed.definitions and root not in parsed.imports:
        for target in parsed.imports.get("*", ()):
            yield Name(target.module, root)


def read_code() -> None:
    """Fix all project code as it is now; an edit from here on is seen by whoever compares."""
    for package in PACKAGES:
        for path in (module_code.ROOT / package).rglob("*.py"):
            parts = path.relative_to(module_code.ROOT).with_suffix("").parts
            module_text(".".join(parts[:-1] if parts[-1] == "__init__" else parts))


@cache
def code_parts(module: str, name: str) -> dict[str, str]:
    """Digest of every project definition that ``module.name`` reaches, by ``module:name``."""
    start = Name(module, name)
    seen = {start}
    waiting = [start]
    while waiting:
        for reached in _reached(waiting.pop()):
            if reached not in seen:
                seen.add(reached)
                waiting.append(reached)
    parts = {}
    for found in sorted(seen):
        parsed = parse_module(found.module)
        nodes = _statements(parsed, found) if parsed else []
        if nodes:
            parts[f"{found.module}:{found.name}"] = _digest_of(nodes)
            for path in _templates(nodes):
                template = path.relative_to(module_code.ROOT).as_posix()
                parts[f"{template}:"] = _sha256(path.read_text(encoding="utf-8"))
    return parts


def _digest_of(nodes: list[ast.stmt]) -> str:
    return _sha256("\n".join(ast.dump(node) for node in nodes))


def _templates(nodes: list[ast.stmt]) -> Iterator[Path]:
    """All templates if the code names one: they include each other, and decide as code does."""
    parts = (part for node in nodes for part in ast.walk(node))
    if any(isinstance(p, ast.Constant) and str(p.value).endswith(".j2") for p in parts):
        yield from sorted(
            p for p in (module_code.ROOT / TEMPLATES).iterdir() if p.suffix in {".j2", ".css"}
        )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def code_digest(function: Callable[..., Any]) -> str:
    """One digest over all the code that a top-level project function reaches."""
    parts = code_parts(function.__module__, function.__name__)
    return _sha256(repr(sorted(parts.items())))


def forget_code() -> None:
    """Read the code anew when it is asked for next."""
    for cached in (module_file, module_text, parse_module, _reached, code_parts):
        cached.cache_clear()


def part_file(part: str) -> Path:
    """The file that held a part of an earlier ``code_parts``, whether it is still there or not."""
    module = part.partition(":")[0]
    if "/" in module:  # a template
        return module_code.ROOT / module
    return module_file(module) or module_code.ROOT.joinpath(*module.split(".")).with_suffix(".py")
