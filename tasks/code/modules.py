"""Where modules are found: those of this project, or of another one that uses its steps."""

import ast
import importlib.util
import re
import sysconfig
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("models", "tasks", "flows")
TEMPLATES = "tasks/reporting/templates"
YAML_NAME = re.compile(r"[\w-]+\.yaml")
# The code of these modules is in no key: they carry, show or log a result and never change it, or
# find a user's code, which counts by its own digest.
# Trap: nothing that can change a result may move into them, or its edits go unnoticed; and a module
# of this list that moves must be renamed here, or it enters every key.
IGNORED_MODULES = {
    "flows",
    "tasks.artifacts.worker",
    "tasks.cache.checkpoints",
    "tasks.cache.entry",
    "tasks.cache.step",
    "tasks.cache.store",
    "tasks.own_code.registry",
    "tasks.own_code.unchanged",
}


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

    def trusts_names(self, module: str) -> bool:
        """Whether the names in a module are all that it uses, because a test checks that."""

    def counts_imports(self, module: str) -> bool:
        """Whether what a module runs when it is imported counts."""

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

    def data_files(self, module: str, texts: Collection[str]) -> list[Path]:
        """Files that count because code of a module has these texts."""


@cache
def _file_below(root: Path, module: str) -> Path | None:
    base = root.joinpath(*module.split("."))
    for path in (base / "__init__.py", base.with_suffix(".py")):  # in Python's order
        if path.is_file():
            return path
    return None


@cache
def _text_of(path: Path) -> bytes:
    return path.read_bytes()


@cache
def module_file(module: str) -> Path | None:
    """The file of a project module; None if there is none."""
    is_ours = module.split(".", maxsplit=1)[0] in PACKAGES
    return _file_below(ROOT, module) if is_ours else None


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
    return _text_of(path) if path else None


class ProjectModules:
    """The modules of this project, as they were when each was first read."""

    def trusts_names(self, module: str) -> bool:
        """Always: a test checks that steps reach no code that cannot be followed."""
        return True

    def counts_imports(self, module: str) -> bool:
        """Always: a module may register something."""
        return True

    is_module = staticmethod(is_module)
    is_followed = staticmethod(is_followed)

    @property
    def root(self) -> Path:
        """The folder of the project."""
        return ROOT

    def file(self, module: str) -> Path:
        """The file that holds a module, or would hold it."""
        found = module_file(module)
        return found or ROOT.joinpath(*module.split(".")).with_suffix(".py")

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

    def data_files(self, module: str, texts: Collection[str]) -> list[Path]:
        """All templates if the code names one, because they include each other and contain code.

        A YAML file counts if it is beside the module and named.
        """
        found: list[Path] = []
        if any(text.endswith(".j2") for text in texts):
            found += (path for path in (ROOT / TEMPLATES).iterdir() if path.is_file())
        path = module_file(module)
        if path is not None:
            named = (path.with_name(text) for text in texts if YAML_NAME.fullmatch(text))
            found += (one for one in named if one.is_file())
        return sorted(found)


PROJECT = ProjectModules()


@dataclass(frozen=True)
class OtherModules:
    """The modules of another project below ``root``, and those of this project behind them.

    Of this project, the definitions count that the other one's steps reach.

    ``package`` is set if the other project is installed among libraries: then only modules of this
    package are its own. Otherwise all modules below its folder are.
    """

    root: Path
    package: str = ""

    def trusts_names(self, module: str) -> bool:
        """Only of this project's modules."""
        return module.split(".", maxsplit=1)[0] in PACKAGES

    def counts_imports(self, module: str) -> bool:
        """Only of the other project's modules: importing this project's changes no result."""
        return module.split(".", maxsplit=1)[0] not in PACKAGES

    def file(self, module: str) -> Path:
        """The file that holds a module, or would hold it."""
        found = self._file(module)
        return found or self.root.joinpath(*module.split(".")).with_suffix(".py")

    def _file(self, module: str) -> Path | None:
        first = module.split(".", maxsplit=1)[0]
        if first in PACKAGES or self.package not in ("", first) or not first:
            return None
        return _file_below(self.root, module)

    def is_module(self, module: str) -> bool:
        """Whether there is such a module in one of the two projects."""
        return self._file(module) is not None or PROJECT.is_module(module)

    def is_package(self, module: str) -> bool:
        """Whether a module is the file of a package."""
        path = self._file(module)
        return path.name == "__init__.py" if path else PROJECT.is_package(module)

    def is_followed(self, module: str) -> bool:
        """Whether the code of a module counts."""
        return self._file(module) is not None or PROJECT.is_followed(module)

    def text(self, module: str) -> bytes | None:
        """The source of a module, as it was at the first call."""
        path = self._file(module)
        return _text_of(path) if path else PROJECT.text(module)

    def inside(self, module: str) -> list[str]:
        """The names of files in the folder of a package."""
        path = self._file(module)
        return [one.stem for one in path.parent.iterdir()] if path else PROJECT.inside(module)

    def data_files(self, module: str, texts: Collection[str]) -> list[Path]:
        """None: other files than modules do not count."""
        return []


@cache
def modules_around(module: str) -> ProjectModules | OtherModules:
    """Where the modules are found that a module uses: this project, or the one that it is of.

    Raises ValueError for the main module, which a worker process cannot import by its name.
    """
    package = module.split(".", maxsplit=1)[0]
    if package in PACKAGES:
        return PROJECT
    if package == "__main__":
        raise ValueError("a step's function is in the script itself; import the script by its name")
    found = importlib.util.find_spec(package)
    folders = list(found.submodule_search_locations or ()) if found is not None else []
    if folders:  # a package, also one without __init__.py
        root = Path(folders[0]).resolve().parent
    elif found is not None and found.has_location and found.origin is not None:
        root = Path(found.origin).resolve().parent
    else:
        return PROJECT
    libraries = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}
    return OtherModules(root, package if root in libraries else "")


def forget_modules() -> None:
    """Forget what was read; it is read again when it is needed."""
    for cached in (module_file, is_module, module_text, _file_below, _text_of, modules_around):
        cached.cache_clear()
