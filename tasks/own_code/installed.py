"""What is installed: functions by import path, and what of a distribution counts in a key."""

import hashlib
import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

from models.specs import ConfigError
from tasks.cache.provenance import COMPUTES, release
from tasks.code.modules import PACKAGES, module_file
from tasks.own_code.own_code import EXAMPLES, OwnCode

MISSING = "not installed"


def read_installed(module: str, function: str) -> OwnCode:
    """A function by import path. Nothing is imported yet.

    Raises ConfigError if no such package is installed.
    """
    root = module.split(".", maxsplit=1)[0]
    version = installed_version(root)
    if root in PACKAGES:
        found = module_file(module) is not None
    else:
        found = version != MISSING and root not in sys.stdlib_module_names
    if not found:
        raise ConfigError(f"{module}:{function}: no package {module!r} is installed; {EXAMPLES}")
    return OwnCode(function=function, module=module, distribution=version)


@cache
def installed_version(root: str) -> str:
    """What is installed as a top-level module, as it counts in keys: ``torch 2.15``.

    Of a package that is no part of an installed distribution, or of one that is installed in place
    to be edited, the digest of its files. It is looked up once in a process.
    """
    names = sorted(set(_distributions().get(root, ())))
    try:
        found = [importlib.metadata.distribution(name) for name in names]
    except PackageNotFoundError:
        found = []
    if found and not any(_is_editable(one) for one in found):
        return ", ".join(f"{one.metadata['Name']} {_counted(one)}" for one in found)
    return _digest_of_files(root)


@cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def _counted(distribution: Distribution) -> str:
    """The version without what names a build, like ``+cpu``; of torch the release alone."""
    version = distribution.version
    is_torch = distribution.metadata["Name"].lower() == COMPUTES
    return release(version) if is_torch else version.partition("+")[0]


def _is_editable(distribution: Distribution) -> bool:
    try:
        described = json.loads(distribution.read_text("direct_url.json") or "{}")
        return bool(described.get("dir_info", {}).get("editable"))
    except (ValueError, AttributeError):
        return False


def _digest_of_files(root: str) -> str:
    try:
        spec = importlib.util.find_spec(root)
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return MISSING
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    files = {
        path.relative_to(folder).as_posix(): path
        for folder in folders
        for path in sorted(folder.rglob("*.py"))
    }
    if not folders and spec.origin:
        files = {Path(spec.origin).name: Path(spec.origin)}
    found = hashlib.sha256()
    for name, path in sorted(files.items()):
        found.update(f"{name}\n{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return f"{root} of {found.hexdigest()[:16]}"
