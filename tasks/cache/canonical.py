"""Canonical JSON: equal values have one text and one digest, the same in every process."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, TypeAlias

from pydantic import BaseModel

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject = dict[str, Any]  # a Json mapping whose reader knows what it holds


def to_json(value: object) -> Json:
    """Plain JSON data for pydantic models, mappings, lists and tuples.

    Trap: a model with a ``fingerprint`` is replaced by it, and its fields count for nothing. That
    is meant for store entries; a fingerprint on any other model hides its fields from every key.

    Raises TypeError for values of other types.
    """
    if isinstance(value, BaseModel):
        fingerprint: str | None = getattr(value, "fingerprint", None)
        return fingerprint or to_json(value.model_dump(mode="json"))
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"{type(value).__name__} has no canonical form")


def canonical_text(value: object) -> str:
    """JSON with sorted keys and no spaces, in ASCII. Raises TypeError as ``to_json``."""
    return json.dumps(to_json(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(value: object) -> str:
    """SHA-256 of the canonical text, in hex. Raises TypeError as ``to_json``."""
    return hashlib.sha256(canonical_text(value).encode()).hexdigest()


def differences(
    before: object, after: object, key: str = ""
) -> Iterator[tuple[str, object, object]]:
    """Where two nested mappings differ: dotted key, value before, value after.

    A key that only one of them has counts as None in the other.
    """
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before | after:
            yield from differences(before.get(name), after.get(name), f"{key}.{name}".lstrip("."))
    elif before != after:
        yield key, before, after
