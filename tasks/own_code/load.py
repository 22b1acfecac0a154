"""Loads a user's function from its texts, as modules of private names. No file is read or written.

Each content has a package of its own, such as ``own_1f0c3a``, so that files of one name and
different texts can be loaded side by side. Imports of files beside it lead to its own texts,
wherever they are made.
"""

import builtins
import importlib
import linecache
import sys
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import CodeType, ModuleType
from typing import Any

from models.messages import in_one_line, place_in
from models.specs import ConfigError
from tasks.own_code.own_code import OwnCode
from tasks.own_code.own_modules import module_name

PREFIX = "own_"
_lock = threading.Lock()


def load_function(own: OwnCode) -> Callable[..., Any]:
    """The function or class, whose module and what it imports are run if they were not before.

    Raises ConfigError, in one line with the line of the file, if that fails.
    """
    name = own.module
    if not own.is_installed:
        package = _package(own)
        name = f"{package}.{module_name(own.module)}" if own.module != "__init__.py" else package
    try:
        found = getattr(importlib.import_module(name), own.function)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{own.reference}: cannot be loaded: {_why(error, own)}") from error
    if not callable(found):
        kind = type(found).__name__
        raise ConfigError(f"{own.reference} is no function or class, but of the type {kind}")
    function: Callable[..., Any] = found
    return function


def unload() -> None:
    """Forget every private module, so that the next computation starts without their state."""
    for name in list(sys.modules):
        if name.split(".", maxsplit=1)[0] in _finder.codes:
            del sys.modules[name]


def private_package(own: OwnCode) -> str:
    """The top-level name of the modules of a user's code in this process."""
    return own.module.split(".")[0] if own.is_installed else PREFIX + own.content[:16]


class _Finder(MetaPathFinder):
    """Finds the modules of private packages."""

    def __init__(self) -> None:
        self.codes: dict[str, OwnCode] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The specification of a module of a private package; None for other modules."""
        package, _, module = fullname.partition(".")
        own = self.codes.get(package)
        if own is None:
            return None
        files = {module_name(file): file for file in own.files}
        files.pop("", None)
        file = files.get(module)
        if module == module_name(own.module):
            file = own.module
        is_folder = not module or any(one.startswith(f"{module}.") for one in files)
        if file is None and not is_folder:
            return None
        loader = _Loader(own, file)
        origin = own.path(file) if file else None
        is_package = is_folder or (file or "").endswith("/__init__.py")
        spec = spec_from_loader(fullname, loader, origin=origin, is_package=is_package)
        if spec is not None and file:
            spec.has_location = True  # the module gets __file__
        return spec


class _Loader(InspectLoader):
    """Runs one text as a module."""

    def __init__(self, own: OwnCode, file: str | None):
        self.own, self.file = own, file

    def get_source(self, fullname: str) -> str:
        """The text; an empty one of a folder of modules."""
        return self.own.files[self.file] if self.file else ""

    def is_package(self, fullname: str) -> bool:
        """Whether the file is that of a package."""
        return (self.file or "/__init__.py").endswith("/__init__.py")

    def get_code(self, fullname: str) -> CodeType:
        """The compiled text, whose tracebacks name the path that was read."""
        path = self.own.path(self.file) if self.file else f"<{fullname}>"
        text = self.get_source(fullname)
        linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of strings like "\d"
            return compile(text, path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        """Run the text with an ``__import__`` that finds the files beside it."""
        package = private_package(self.own)
        own_builtins = dict(vars(builtins))
        own_builtins["__import__"] = _importer(package, self.own)
        module.__dict__["__builtins__"] = own_builtins
        exec(self.get_code(module.__name__), module.__dict__)


def _importer(package: str, own: OwnCode) -> Callable[..., ModuleType]:
    roots = {module_name(file).split(".")[0] for file in own.files} - {""}

    def import_own(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        root = name.split(".", maxsplit=1)[0]
        if level or root not in roots:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        found = builtins.__import__(f"{package}.{name}", globals, locals, fromlist or (), 0)
        return found if fromlist else sys.modules[f"{package}.{root}"]

    return import_own


_finder = _Finder()


def _package(own: OwnCode) -> str:
    """The private package of these texts, which can be imported from now on."""
    package = private_package(own)
    with _lock:
        _finder.codes.setdefault(package, own)
        if _finder not in sys.meta_path:
            sys.meta_path.insert(0, _finder)
    return package


def _why(error: BaseException, own: OwnCode) -> str:
    """An error in one line, with the last place in the user's files."""
    place = place_in(error, private_package(own))
    text = str(error).replace(f"{private_package(own)}.", "")
    return in_one_line(f"{place}{type(error).__name__}: {text}")
