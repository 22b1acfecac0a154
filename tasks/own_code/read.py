"""Reads a user's function as text, with the files beside it that it imports."""

import ast
import difflib
import os
import symtable
import warnings
from pathlib import Path

from models.specs import ConfigError
from tasks.code.module_code import parse
from tasks.own_code.imports import Imported, find_own_file, imports_of, is_available
from tasks.own_code.installed import read_installed
from tasks.own_code.own_code import EXAMPLES, OwnCode, parse_reference
from tasks.system.files import UnusableFileError, read_regular_file

LARGEST_FILE = 1 << 20  # bytes
MOST_FILES = 200


def read_source(reference: str, folder: Path) -> OwnCode:
    """Read ``nets.py:encoder`` or ``package.module:encoder`` now; files start at ``folder``.

    With a file, every file beside it that it imports is read too, and what those import. Nothing is
    run. Only for what the person who starts a study has named: never call it with a text of a
    store, an artifact, a form or a report, unless ``check_recorded`` follows.

    Raises ConfigError, in one line, for what is no reference, cannot be read, is not Python, or
    lacks the function or something that it imports.
    """
    place, function = asked = parse_reference(reference)
    if not asked.is_file:
        return read_installed(place, function)
    path = Path(folder, os.path.expanduser(place)).absolute()
    if path.suffix != ".py":
        raise ConfigError(f"{reference}: {path.name} is no Python file; {EXAMPLES}")
    files = _Files(path.parent)
    files.read(path.name, asked_for=reference)
    text = files.texts[path.name]
    _check_defined(text, path.name, function)
    return OwnCode(
        function=function, module=path.name, files=files.texts, folder=path.parent.as_posix()
    )


class _Files:
    """Reads files of one folder and what they import."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.texts: dict[str, str] = {}

    def read(self, entry: str, asked_for: str) -> None:
        """Read a file and everything of the folder that it imports."""
        waiting = [entry]
        while waiting:
            name = waiting.pop()
            if name in self.texts:
                continue
            if len(self.texts) == MOST_FILES:
                raise ConfigError(f"{asked_for} imports more than {MOST_FILES} files beside it")
            tree = self._read_one(name)
            for imported in imports_of(tree, name):
                waiting += self._found(imported, name)

    def _read_one(self, name: str) -> ast.Module:
        path = self.folder / name
        try:
            content = read_regular_file(path, LARGEST_FILE)
            self.texts[name] = content.decode("utf-8-sig")
        except UnusableFileError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
        except OSError as error:
            raise ConfigError(f"{path}: {(error.strerror or str(error)).lower()}") from None
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            raise ConfigError(f"{path}, line {line}: not UTF-8; save it as UTF-8") from None
        return _parsed(self.texts[name], path)

    def _found(self, imported: Imported, name: str) -> list[str]:
        """The files beside it that an import needs. Raises ConfigError if one is missing."""
        place = f"{self.folder / name}, line {imported.line}"
        if imported.leaves_folder:
            raise ConfigError(
                f"{place}: a relative import leads out of {self.folder}; "
                "put what it imports beside the file"
            )
        files = [find_own_file(self.folder, module) for module in imported.with_packages()]
        found = [file for file in files if file]
        if imported.is_required and not found and not is_available(imported, self.folder):
            raise ConfigError(
                f"{place}: no module {imported.module!r} is installed, and there is none beside "
                "the file"
            )
        return found


def _parsed(text: str, path: Path) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of strings like "\d": shown when it is compiled
            compile(text, path, "exec", dont_inherit=True)  # finds more mistakes
            return parse(text)
    except SyntaxError as error:
        where = f", line {error.lineno}" if error.lineno else ""
        raise ConfigError(f"{path}{where}: not Python: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(f"{path}: not Python: {error or 'nested too deep'}") from None


def _check_defined(text: str, file: str, function: str) -> None:
    """Raise ConfigError if a module defines no such name at its top level."""
    table = symtable.symtable(text, file, "exec")
    symbols = table.get_symbols()
    names = [one.get_name() for one in symbols if one.is_assigned() or one.is_imported()]
    if function in names or "import *" in text:
        return
    near = difflib.get_close_matches(function, names, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    if not near and names:
        hint = f"; it defines {', '.join(sorted(names)[:5])}"
    raise ConfigError(f"{file} defines no {function!r} at its top level{hint}")
