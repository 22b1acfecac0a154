"""One text and one digest for equal values, the same in every process; how two differ."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

Json = dict[str, Any]


def to_json(value: Any) -> Any:
    """Plain JSON data for models, tuples and mappings; a store entry stands for its content."""
    if isinstance(value, BaseModel):
        fingerprint = getattr(value, "fingerprint", None)
        return fingerprint or to_json(value.model_dump(mode="json"))
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"{type(value).__name__} has no canonical form")


def canonical_text(value: Any) -> str:
    """JSON with sorted keys and no spaces."""
    return json.dumps(to_json(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(value: Any) -> str:
    """SHA-256 of the canonical text, in hex."""
    return hashlib.sha256(canonical_text(value).encode()).hexdigest()


def differences(before: Any, after: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Dotted key and both values of every leaf in which two nested mappings differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before | after:
            yield from differences(before.get(name), after.get(name), f"{key}.{name}".lstrip("."))
    elif before != after:
        yield key, before, after
