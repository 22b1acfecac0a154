"""The digest of a user's function: of what it reaches in its texts, and of what those import."""

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cache

from models.specs import ConfigError
from tasks.cache.canonical import digest
from tasks.code import code_digest
from tasks.code.module_code import modules_imported_by, package_of, parse_module
from tasks.code.modules import PACKAGES, PROJECT, Name
from tasks.own_code.installed import installed_version
from tasks.own_code.own_code import OwnCode
from tasks.own_code.own_modules import ENTRY, OwnModules

PREFIX = "sha256:"
INSTALLED = "installed:"  # before the name of a module, where a part is no definition


def code_parts(own: OwnCode) -> dict[str, str]:
    """Digest of every definition that a function reaches, by names like ``nets.py:encoder``.

    ``nets.py:`` is the code that runs when the file is imported. ``installed:torch`` is the version
    of what the files import. Definitions of this project have names like ``models/fit.py:train``.
    """
    return {_shown(part, own): found for part, found in _parts(own).items()}


def code_sha256(own: OwnCode) -> str:
    """``sha256:`` and one digest of what a function reaches, in hex.

    It does not depend on the folder, the name of the file, nor on what is not reached.
    """
    module = own.module if own.is_installed else ENTRY
    return PREFIX + digest([code_digest.FORMAT, module, own.function, _parts(own)])


def whole_sha256(own: OwnCode) -> str:
    """``sha256:`` and one digest of all code in a user's texts, whether it is reached or not.

    For those who must not run anything that was not recorded: code of a file that a function does
    not reach may run while the file is imported. Comments, docstrings and formatting do not count.
    """
    if own.is_installed:
        return code_sha256(own)
    modules = OwnModules.of(own)
    files = {}
    for module, file in modules.by_module.items():
        parsed = parse_module(module, modules)
        statements = parsed.statements if parsed is not None else []
        files[ENTRY if file == own.module else file] = [ast.dump(one) for one in statements]
    return PREFIX + digest([code_sha256(own), files])


def changed_parts(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """One line for each file with other definitions, like ``nets.py changed: encoder``."""
    found, files = [], dict[str, list[str]]()
    for part in sorted(before.keys() | after.keys()):
        if before.get(part) != after.get(part):
            file, _, definition = part.partition(":")
            if part.startswith(INSTALLED):
                found.append(f"{before.get(part, 'nothing')} -> {after.get(part, 'nothing')}")
            else:
                files.setdefault(file, []).append(definition)
    for file, definitions in files.items():
        named = ", ".join(name for name in definitions if name)
        found.append(f"{file} changed" + (f": {named}" if named else ""))
    return found


def check_recorded(own: OwnCode, sha256: str, parts: Mapping[str, str] | None = None) -> None:
    """Raise ConfigError unless this is the code whose digest was recorded when it was served.

    ``parts`` are the recorded ``code_parts``, for a message that names what changed.
    """
    if code_sha256(own) == sha256:
        return
    changes = "; ".join(changed_parts(parts, code_parts(own))) if parts else ""
    raise ConfigError(
        f"{own.reference} is not the code that was served"
        + (f" ({changes})" if changes else "")
        + "; serve or deploy the study again"
    )


def _parts(own: OwnCode) -> dict[str, str]:
    """As ``code_parts``, by the names of modules."""
    if not own.is_installed:
        return _parts_of_texts(OwnModules.of(own), own.function)
    root = own.module.split(".", maxsplit=1)[0]
    if root in PACKAGES:
        return code_digest.code_parts(own.module, own.function)
    return {INSTALLED + root: installed_version(root)}


@cache
def _parts_of_texts(modules: OwnModules, function: str) -> dict[str, str]:
    parts = code_digest.code_parts(ENTRY, function, modules)
    imported = _imported(modules, function)
    return parts | {INSTALLED + root: installed_version(root) for root in imported}


def _imported(modules: OwnModules, function: str) -> set[str]:
    """The top-level modules of others that the reached code of the user imports."""
    found: set[str] = set()
    for name in code_digest.reached_names(ENTRY, function, modules):
        if name.module in modules.by_module:
            found |= {one.split(".")[0] for one in _imported_by(name, modules)}
    return {
        root
        for root in found - sys.stdlib_module_names - set(PACKAGES)
        if root and not modules.is_own(root)
    }


def _imported_by(name: Name, modules: OwnModules) -> Iterator[str]:
    parsed = parse_module(name.module, modules)
    if parsed is None:
        return
    if not name.name:
        yield from parsed.imported_modules
    package = package_of(name.module, modules)
    for node in parsed.definitions.get(name.name, []) if name.name else parsed.import_time:
        for inner in ast.walk(node):
            yield from modules_imported_by(inner, package, modules)


def _shown(part: str, own: OwnCode) -> str:
    """A part as the user knows it: by file."""
    module, _, name = part.partition(":")
    if part.startswith(INSTALLED) or "/" in module:
        return part
    modules = OwnModules.of(own)
    if not own.is_installed and modules.is_own(module):
        return f"{modules.by_module[module]}:{name}"
    suffix = "/__init__.py" if PROJECT.is_package(module) else ".py"
    return f"{module.replace('.', '/')}{suffix}:{name}"
