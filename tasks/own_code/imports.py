"""What a user's file imports, and which of it are files beside it."""

import ast
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tasks.own_code.own_modules import module_name


class Imported(NamedTuple):
    """One module that an import may name.

    ``is_relative`` names come from imports with leading dots. A name that is not ``is_required``
    may be another thing than a module, or the file says what to do without it.
    """

    module: str
    line: int
    is_relative: bool
    is_required: bool
    leaves_folder: bool = False

    def with_packages(self) -> list[str]:
        """The module and the packages around it, which Python imports first."""
        parts = self.module.split(".")
        return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]


def imports_of(tree: ast.Module, file: str) -> Iterator[Imported]:
    """Everything that a file imports, in functions too."""
    name = module_name(file)
    is_package = file.endswith("/__init__.py")
    package = name if is_package else name.rpartition(".")[0]
    always = {id(node) for node in tree.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Imported(alias.name, node.lineno, False, id(node) in always)
        elif isinstance(node, ast.ImportFrom):
            yield from _from(node, package, id(node) in always)


def _from(node: ast.ImportFrom, package: str, always: bool) -> Iterator[Imported]:
    above = package.split(".") if package else []
    relative = node.level > 0
    if node.level > len(above) + 1:
        yield Imported(node.module or "", node.lineno, True, True, leaves_folder=True)
        return
    parts = above[: len(above) + 1 - node.level] if relative else []
    base = ".".join([*parts, *([node.module] if node.module else [])])
    if base:
        yield Imported(base, node.lineno, relative, always and not (relative and not node.module))
    for alias in node.names:
        inner = f"{base}.{alias.name}" if base else alias.name
        # beside the first file there is no package, whose names these could be
        yield Imported(inner, node.lineno, relative, always and not base)


def find_own_file(folder: Path, module: str) -> str | None:
    """The file of a module in a folder, relative to it; None if the module comes from elsewhere.

    As for a script: files come before what is installed, but not before modules of the interpreter
    itself; a folder without ``__init__.py`` comes after what is installed.
    """
    root, *_ = parts = module.split(".")
    if root in sys.builtin_module_names or not all(part.isidentifier() for part in parts):
        return None
    base = folder.joinpath(*parts)
    for path in (base / "__init__.py", base.with_name(f"{base.name}.py")):
        if os.path.isfile(path):
            return path.relative_to(folder).as_posix() if _is_own_root(folder, root) else None
    return None


def _is_own_root(folder: Path, root: str) -> bool:
    own = (folder / root / "__init__.py", folder / f"{root}.py")
    return any(os.path.isfile(path) for path in own) or not is_installed(root)


def is_installed(root: str) -> bool:
    """Whether a top-level module is part of Python or installed. Imports nothing."""
    if root in sys.stdlib_module_names or root in sys.builtin_module_names:
        return True
    try:
        return importlib.util.find_spec(root) is not None
    except (ImportError, ValueError):  # ValueError: a module without a specification is loaded
        return root in sys.modules


def is_available(imported: Imported, folder: Path) -> bool:
    """Whether a module that is no file of the folder can be imported from elsewhere."""
    if imported.is_relative or not imported.module:
        base = folder.joinpath(*imported.module.split("."))
        return base.is_dir()
    root = imported.module.split(".", maxsplit=1)[0]
    if is_installed(root):
        return True
    return folder.joinpath(*imported.module.split(".")).is_dir()  # a folder of modules
