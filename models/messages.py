"""How messages show texts, values and pydantic's errors in what users and files gave."""

import reprlib
import traceback
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

SHOWN_CHARACTERS = 100
LONGEST_LINE = 1_000  # characters
PLAIN_WORDS = {
    "tuple_type": "should be a list, like [1, 2]",
    "model_type": "should hold keys and values",
    "model_attributes_type": "should hold keys and values",
    "missing": "is missing",
    "extra_forbidden": "is no key that is known",
}
HIDDEN = ("torch", "models")  # packages whose lines help no user
PAIR = "should be a pair, like [3, 5]"
_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = SHOWN_CHARACTERS


def shown(value: object) -> str:
    """A value as an error shows it: long ones are cut in the middle, and so are nested ones."""
    return _short.repr(value)


def cut(text: str, limit: int = SHOWN_CHARACTERS) -> str:
    """The start of a text as an error shows it."""
    return text if len(text) <= limit else f"{text[:limit]}..."


def in_one_line(text: str, limit: int = LONGEST_LINE) -> str:
    """A text of a file as one line: cut, and with control characters escaped."""
    text = text[: 2 * limit]
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return cut(text, limit - 3) if len(text) > limit else text


def plain_message(error: "ErrorDetails") -> str:
    """The message of one of pydantic's errors, without pydantic's prefix."""
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "too_short":
        least = error["ctx"]["min_length"]
        return f"should list at least {least} value{'s' if least > 1 else ''}, like [1, 2]"
    if is_part_of_pair(error) or _is_long_pair(error):
        return PAIR
    return PLAIN_WORDS.get(error["type"], message)


def _is_long_pair(error: "ErrorDetails") -> bool:
    return error["type"] == "too_long" and error["ctx"]["max_length"] == 2


def is_part_of_pair(error: "ErrorDetails") -> bool:
    """Whether the error is that a pair lacks a value: its place then ends with the position."""
    return error["type"] == "missing" and isinstance(error["loc"][-1], int)


def dotted_key(error: "ErrorDetails") -> str:
    """The configuration key of an error, such as ``training.epochs``.

    Parts that pydantic adds for types, such as ``list[int]``, are left out: no key looks like them.
    """
    parts = [part for part in error["loc"] if isinstance(part, int) or part.isidentifier()]
    return ".".join(str(part) for part in parts)


def shape_text(shape: Iterable[int]) -> str:
    """A shape as ``1x28x28``."""
    return "x".join(map(str, shape))


def described(error: BaseException, function: object = None) -> str:
    """An error in a user's code in one line: the file and line of that code, and the text.

    The code is that of the package of ``function``, or else all that is not torch's or ours.
    """
    package = str(getattr(function, "__module__", "") or "").split(".", maxsplit=1)[0]
    if package in {"functools", *HIDDEN}:
        package = ""
    place = place_in(error, package)
    text = str(error).replace(f"{package}.", "") if package else str(error)
    return in_one_line(f"{place}{type(error).__name__}: {text}".removesuffix(": "))


def place_in(error: BaseException, package: str = "") -> str:
    """The last line of a package's code that an error came through, like ``nets.py, line 3: ``."""
    place = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        root = str(frame.f_globals.get("__name__", "")).split(".", maxsplit=1)[0]
        if root == package or (not package and root not in HIDDEN):
            place = f"{frame.f_code.co_filename}, line {line}: "
    return place
