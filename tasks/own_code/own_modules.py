"""The files of a user as modules, in the way that the digest of code looks for them."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tasks.code.modules import PROJECT
from tasks.own_code.own_code import OwnCode

# The entry file has this name instead of its own, so that renaming it changes no digest.
ENTRY = "<entry>"


def module_name(file: str) -> str:
    """The module of a file: ``sub.blocks`` of ``sub/blocks.py``, ``sub`` of ``sub/__init__.py``."""
    parts = file.removesuffix(".py").split("/")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@dataclass(frozen=True)
class OwnModules:
    """The texts of a user, and behind them the modules of this project that they may import.

    A module of the user comes before one of the same name in the project.
    """

    entry: str
    files: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, own: OwnCode) -> "OwnModules":
        """The modules of a user's code."""
        return cls(own.module, tuple(sorted(own.files.items())))

    @cached_property
    def by_module(self) -> dict[str, str]:
        """The file of each module."""
        found = {module_name(name): name for name, _ in self.files}
        found.pop("", None)  # a package's own __init__.py is imported by no name
        return found | {ENTRY: self.entry}

    @cached_property
    def roots(self) -> set[str]:
        """The first parts of the names of all modules."""
        return {module.split(".", maxsplit=1)[0] for module in self.by_module}

    def trusts_names(self, module: str) -> bool:
        """Never: no test checks a user's code."""
        return False

    def counts_imports(self, module: str) -> bool:
        """Always: a module may register something."""
        return True

    def is_own(self, module: str) -> bool:
        """Whether a module is looked for among the texts."""
        return module.split(".", maxsplit=1)[0] in self.roots or not module

    def is_module(self, module: str) -> bool:
        """Whether there is a module, or a folder with modules, of this name."""
        if not self.is_own(module):
            return PROJECT.is_module(module)
        return module in self.by_module or any(m.startswith(f"{module}.") for m in self.by_module)

    def is_package(self, module: str) -> bool:
        """Whether a module is the ``__init__.py`` of a folder."""
        if not self.is_own(module):
            return PROJECT.is_package(module)
        return module != ENTRY and self.by_module.get(module, "").endswith("/__init__.py")

    def is_followed(self, module: str) -> bool:
        """Whether the code of a module counts: also that of the project."""
        return module in self.by_module if self.is_own(module) else PROJECT.is_followed(module)

    def text(self, module: str) -> bytes | None:
        """The text of a module, of the user or of the project."""
        if not self.is_own(module):
            return PROJECT.text(module)
        file = self.by_module.get(module)
        return None if file is None else dict(self.files)[file].encode()

    def inside(self, module: str) -> list[str]:
        """The names of modules in a package."""
        if not self.is_own(module):
            return PROJECT.inside(module)
        inner = {m.removeprefix(f"{module}.") for m in self.by_module if m.startswith(f"{module}.")}
        return sorted({one.split(".")[0] for one in inner})

    def data_files(self, module: str, texts: Collection[str]) -> list[Path]:
        """None: other files than modules do not count."""
        return []
