"""Messages from a task on a Dask worker to the invocation, sent as events of the cluster.

A message is ``{"part": "display", "do": "epoch", "arguments": [...], "named": {...}}``: one call of
a method of a part of the session. Every peer of the cluster can send messages, so only the calls in
``ALLOWED_CALLS`` are made, with arguments of these types.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, TypedDict

from pydantic import TypeAdapter

from tasks.artifacts.worker import Event
from tasks.cache.entry import Entry
from tasks.execution.invocations import TaskRecord
from tasks.execution.session import Session
from tasks.tracking.run_plan import RunPlan

ALLOWED_CALLS: dict[str, dict[str, tuple[Any, ...]]] = {
    "display": {"begin": (str,), "epoch": (str, Event), "warn": (str,)},
    "tracker": {
        "begin": (RunPlan,),
        "log_epoch": (RunPlan, Event),
        "log_entry": (RunPlan, Entry),
        "fail": (RunPlan, str),
    },
    "log": {"task": (str,)},  # and the fields of a TaskRecord by name
}


class Message(TypedDict):
    """One call of a method of a part of the session, as JSON data."""

    part: str
    do: str
    arguments: list[object]
    named: dict[str, object]


Send = Callable[[Message], None]


class Relay:
    """Replaces a part of the session on a worker: sends each allowed call as a message."""

    def __init__(self, part: str, send: Send):
        for do in ALLOWED_CALLS[part]:
            setattr(self, do, _sender(part, do, send))


def _sender(part: str, do: str, send: Send) -> Callable[..., None]:
    types = ALLOWED_CALLS[part][do]

    def call(*arguments: object, **named: object) -> None:
        encoded = [
            _adapter(kind).dump_python(value, mode="json")
            for kind, value in zip(types, arguments, strict=True)
        ]
        send({"part": part, "do": do, "arguments": encoded, "named": named})

    return call


def make_call(session: Session, message: Message) -> None:
    """Make the call of a message on the invocation's session.

    Raises ValueError for a call that is not allowed or has other arguments; KeyError or TypeError
    for a message in another form.
    """
    part, do = message["part"], message["do"]
    types = ALLOWED_CALLS.get(part, {}).get(do)
    if types is None:
        raise ValueError(f"a Dask worker called {part}.{do}, which tasks must not call")
    named = message["named"]
    if part == "log":
        unknown = named.keys() - TaskRecord.model_fields
        TaskRecord.model_validate(named)
    else:
        unknown = set(named)
    if unknown:
        raise ValueError(f"a Dask worker called {part}.{do} with the argument {min(unknown)!r}")
    arguments = [
        _adapter(kind).validate_python(value)
        for kind, value in zip(types, message["arguments"], strict=True)
    ]
    getattr(getattr(session, part), do)(*arguments, **named)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
