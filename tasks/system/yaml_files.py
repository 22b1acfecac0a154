"""YAML 1.2 as plain data: ``1e-3`` is a number, ``yes`` is a text, a repeated key is an error."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.specs import ConfigError

if TYPE_CHECKING:
    from ruamel.yaml.error import MarkedYAMLError


def parse_yaml(text: str) -> Any:
    """The value of a YAML text.

    Raises ValueError, in one line, for a text that is not YAML.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        # the pure parser reads YAML 1.2, the one in C reads YAML 1.1
        return YAML(typ="safe", pure=True).load(text)
    except DuplicateKeyError as error:
        key = str(error.problem).partition(" with ")[0].removeprefix("found duplicate key ")
        raise ValueError(f"the key {key} is given twice{_position(error)}") from None
    except MarkedYAMLError as error:
        raise ValueError(f"{error.problem or error.context}{_position(error)}") from None
    except YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def read_yaml(path: Path, what: str) -> Any:
    """The value of a YAML file. ``what`` names the kind of file in errors.

    Raises ConfigError for a file that cannot be read or is not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the {what} {str(path)!r}: {error}") from None
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from None


def _position(error: "MarkedYAMLError") -> str:
    mark = error.problem_mark or error.context_mark
    return f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
