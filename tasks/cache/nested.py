"""The values inside nested lists, tuples and mappings, such as the inputs of a task."""

from collections.abc import Callable, Iterator
from typing import Any


def leaves(value: object) -> Iterator[object]:
    """The values in nested lists, tuples and mappings, depth first."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def map_leaves(value: object, change: Callable[[object], object]) -> Any:
    """A copy of nested lists, tuples and mappings in which every leaf is changed."""
    if isinstance(value, dict):
        return {name: map_leaves(item, change) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map_leaves(item, change) for item in value)
    return change(value)
