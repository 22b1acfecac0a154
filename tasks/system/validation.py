"""pydantic's errors in the words of this project."""

from typing import Any

PLAIN_WORDS = {
    "tuple_type": "should be a list, like [1, 2]",
    "model_type": "should hold keys and values",
    "model_attributes_type": "should hold keys and values",
    "missing": "should be a pair, like [3, 5]",
}


def plain_message(error: Any) -> str:
    """What one of pydantic's errors says, without its prefix."""
    message = str(error["msg"]).removeprefix("Value error, ")
    return PLAIN_WORDS.get(error["type"], message)


def dotted_key(error: Any) -> str:
    """The key that an error is about, without the names that pydantic gives to types."""
    parts = [part for part in error["loc"] if isinstance(part, int) or part.isidentifier()]
    return ".".join(str(part) for part in parts)
