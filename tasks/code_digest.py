"""A digest of the code that a function runs: itself and every project definition it reaches.

Definitions are compared as parsed code without comments, docstrings and formatting, so rewording
changes nothing and an edited helper changes exactly the functions that use it.
"""

import ast
import hashlib
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("models", "tasks", "flows")
TEMPLATES = "tasks/templates"
# What carries, shows or logs an answer without changing it.
BYSTANDERS = {"tasks.store", "tasks.step", "tasks.workers", "tasks.checkpoints"}
_parser = threading.Lock()  # Python 3.11's fails now and then when two threads parse at once


class Name(NamedTuple):
    """A top-level name of a project module; an empty name stands for the module's own effects."""

    module: str
    name: str


class _Module(NamedTuple):
    definitions: dict[str, list[ast.stmt]]
    imports: dict[str, Name]
    effects: list[ast.stmt]


def _module_path(module: str) -> Path | None:
    if module.split(".", maxsplit=1)[0] not in PACKAGES or module in BYSTANDERS:
        return None
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def _without_documentation(tree: ast.AST) -> None:
    """Leave out docstrings, and what pydantic's fields say of themselves."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Field":
            node.keywords = [word for word in node.keywords if word.arg != "description"]
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body
            first = body[0] if body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = body[1:] or [ast.Pass()]


def _imported(node: ast.stmt) -> Iterator[tuple[str, Name]]:
    if isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            target = Name(inner, "") if _module_path(inner) else Name(node.module, alias.name)
            yield alias.asname or alias.name, target
    elif isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.asname or alias.name.split(".")[0], Name(alias.name, "")


@cache
def _text(module: str) -> str | None:
    path = _module_path(module)
    return path.read_text(encoding="utf-8") if path else None


@cache
def _parse(module: str) -> _Module | None:
    text = _text(module)
    if text is None:
        return None
    with _parser:
        tree = ast.parse(text)
    _without_documentation(tree)
    parsed = _Module({}, {}, [])
    for node in ast.walk(tree):  # imports inside functions count as well
        if isinstance(node, ast.Import | ast.ImportFrom):
            parsed.imports.update(_imported(node))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            parsed.definitions.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                for leaf in ast.walk(target):
                    if isinstance(leaf, ast.Name):
                        parsed.definitions.setdefault(leaf.id, []).append(node)
        elif not isinstance(node, ast.Import | ast.ImportFrom | ast.Pass):
            parsed.effects.append(node)
    return parsed


def _used(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Names a piece of code mentions, with the attribute asked of each, if any."""
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
            yield part.value.id, part.attr
        elif isinstance(part, ast.Name):
            yield part.id, ""


def _reached(name: Name) -> Iterator[Name]:
    """The project names that one definition refers to."""
    parsed = _parse(name.module)
    if parsed is None:
        return
    yield Name(name.module, "")
    for node in parsed.definitions.get(name.name, []):
        for used, attribute in _used(node):
            if used in parsed.definitions:
                yield Name(name.module, used)
            elif used in parsed.imports:
                target = parsed.imports[used]
                yield target if target.name else Name(target.module, attribute)


def read_code() -> None:
    """Fix all project code as it is now; an edit from here on is seen by whoever compares."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            _text(".".join(path.relative_to(ROOT).with_suffix("").parts))


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
        parsed = _parse(found.module)
        if parsed is None:
            continue
        nodes = parsed.definitions.get(found.name, []) if found.name else parsed.effects
        if nodes:
            text = "\n".join(ast.dump(node) for node in nodes)
            parts[f"{found.module}:{found.name}"] = _sha256(text)
            for path in _templates(nodes):
                template = path.relative_to(ROOT).as_posix()
                parts[f"{template}:"] = _sha256(path.read_text(encoding="utf-8"))
    return parts


def _templates(nodes: list[ast.stmt]) -> Iterator[Path]:
    """All templates if the code names one: they include each other, and decide as code does."""
    parts = (part for node in nodes for part in ast.walk(node))
    if any(isinstance(p, ast.Constant) and str(p.value).endswith(".j2") for p in parts):
        yield from sorted(p for p in (ROOT / TEMPLATES).iterdir() if p.suffix in {".j2", ".css"})


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def code_digest(function: Callable[..., Any]) -> str:
    """One digest over all the code that a top-level project function reaches."""
    parts = code_parts(function.__module__, function.__name__)
    return _sha256(repr(sorted(parts.items())))
