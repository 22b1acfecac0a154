"""YAML 1.2 as plain data: ``1e-3`` is a number, ``yes`` is a text, a repeated key is an error.

A text is read within bounds, which are checked before any value is made of it: a small text can
stand for a value that fills the memory. Values within the bounds take under a second.
"""

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from models.messages import cut
from models.specs import ConfigError
from tasks.system.files import read_regular_file

if TYPE_CHECKING:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, StreamMark
    from ruamel.yaml.events import Event, NodeEvent

MOST_BYTES = 65_536
MOST_VALUES = 5_000  # with every alias replaced by the value that it stands for
MOST_LEVELS = 30
COUNTED_AS_ONE = 100  # characters of a text; a longer one counts as several values
NO_TEXT = re.compile("[\0\ud800-\udfff]")  # an escape makes them; no file or database takes them


class _Place(Protocol):
    @property
    def start_mark(self) -> "StreamMark": ...


def parse_yaml(text: str) -> Any:
    """The value of a YAML text.

    Raises ValueError, in one line, for a text that is not YAML, is larger than the bounds, or
    makes anything else than plain data.
    """
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if len(text) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES:,} bytes")
    try:
        bounds = _Bounds()
        for event in _parser().parse(text):
            bounds.check(event)
        return _parser().load(text)
    except DuplicateKeyError as error:
        key = str(error.problem).partition(" with ")[0].removeprefix("found duplicate key ")
        message = f"the key {_one_line(key)} is given twice{_position(error)}"
    except MarkedYAMLError as error:
        message = f"{_one_line(error.problem or error.context)}{_position(error)}"
    except TypeError:
        message = "a key holds a list or a mapping"
    except (YAMLError, ValueError, OverflowError) as error:  # the last two: of dates and numbers
        message = _one_line(error)
    raise ValueError(message)


def read_yaml(path: Path, what: str) -> Any:
    """The value of a YAML file. ``what`` names the kind of file in errors.

    Raises ConfigError for a file that cannot be read or is not YAML.
    """
    try:
        # some editors put an invisible mark before UTF-8
        text = read_regular_file(path, MOST_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"cannot read the {what} {str(path)!r}: save it as utf-8 ({error.reason} "
            f"at byte {error.start})"
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot read the {what} {str(path)!r}: {error.strerror}") from None
    if "\0" in text:  # as in UTF-16 without its mark
        raise ConfigError(f"cannot read the {what} {str(path)!r}: save it as utf-8 (it holds NUL)")
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from None


def _parser() -> "YAML":
    from ruamel.yaml import YAML

    # the pure parser reads YAML 1.2, the one in C reads YAML 1.1
    parser = YAML(typ="safe", pure=True)
    parser.Constructor = _constructor()
    return parser


@cache
def _constructor() -> type:
    """What makes values: ruamel's, without integers that no setting holds."""
    from ruamel.yaml.constructor import SafeConstructor
    from ruamel.yaml.nodes import ScalarNode

    class Constructor(SafeConstructor):
        def construct_yaml_int(self, node: ScalarNode) -> int:
            # Python prints none of more than 4,300 digits, and errors print the value
            value = int(super().construct_yaml_int(node)) if len(node.value) < 100 else 2**63
            if abs(value) >= 2**63:
                raise ValueError(f"an integer has more than 64 bits{_place(node)}")
            return value

    Constructor.add_constructor("tag:yaml.org,2002:int", Constructor.construct_yaml_int)
    return Constructor


class _Bounds:
    """Checks a text's events in one pass, before any value is made of them."""

    def __init__(self) -> None:
        self._documents = self._values = 0
        # of what anchors name; None until the end of a list or mapping is reached
        self._sizes: dict[str, int | None] = {}
        self._open: list[tuple[str | None, int]] = []  # its anchor, and the values before it

    def check(self, event: "Event") -> None:
        """Raise ValueError if this event is out of bounds."""
        from ruamel.yaml import events

        if isinstance(event, events.DocumentStartEvent):
            self._documents += 1
        elif isinstance(event, events.AliasEvent):
            self._repeat(event)
        elif isinstance(event, events.ScalarEvent):
            if NO_TEXT.search(event.value):
                raise ValueError(f"a text holds NUL or half a character{_place(event)}")
            self._name(event, 1 + len(event.value) // COUNTED_AS_ONE)
            self._values += 1 + len(event.value) // COUNTED_AS_ONE
        elif isinstance(event, events.CollectionStartEvent):
            self._name(event, None)
            self._open.append((event.anchor, self._values))
            self._values += 1
        elif isinstance(event, events.CollectionEndEvent):
            anchor, before = self._open.pop()
            if anchor is not None:
                self._sizes[anchor] = self._values - before
        tag = getattr(event, "tag", None)
        if tag is not None:
            shown = str(tag).replace("tag:yaml.org,2002:", "!!")
            raise ValueError(f"tags such as {shown!r} are not used{_place(event)}")
        if self._documents > 1:
            raise ValueError(f"it holds more than one document{_place(event)}")
        if len(self._open) > MOST_LEVELS:
            raise ValueError(f"it has more than {MOST_LEVELS} levels{_place(event)}")
        if self._values > MOST_VALUES:
            raise ValueError(f"it holds more than {MOST_VALUES:,} values{_place(event)}")

    def _name(self, event: "NodeEvent", size: int | None) -> None:
        if event.anchor is None:
            return
        if event.anchor in self._sizes:
            raise ValueError(f"the anchor {event.anchor!r} is given twice{_place(event)}")
        self._sizes[event.anchor] = size

    def _repeat(self, alias: "NodeEvent") -> None:
        size = self._sizes.get(alias.anchor, 1)  # an unknown anchor is for the parser to report
        if size is None:
            raise ValueError(f"the anchor {alias.anchor!r} is inside itself{_place(alias)}")
        self._values += size


def _one_line(message: object) -> str:
    return cut(" ".join(str(message).split()))


def _place(found: _Place) -> str:
    mark = found.start_mark
    return f", line {mark.line + 1}, column {mark.column + 1}"


def _position(error: "MarkedYAMLError") -> str:
    mark = error.problem_mark or error.context_mark
    return f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
