"""Messages from a task on a Dask worker to the invocation, sent as events of the cluster.

A message is ``{"part": "display", "do": "epoch", "arguments": [...], "named": {...}}``: one call of
a method of a part of the session. Only the calls in ``ALLOWED_CALLS`` are sent, and only these are
made.
"""

from collections.abc import Callable
from typing import TypedDict

from tasks.cache.entry import Entry
from tasks.execution.session import Session
from tasks.tracking.run_plan import RunPlan

ALLOWED_CALLS = {
    "display": {"begin", "epoch", "warn"},
    "tracker": {"begin", "log_epoch", "log_entry", "fail"},
    "log": {"task"},
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
    def call(*arguments: object, **named: object) -> None:
        encoded = [_encode(one) for one in arguments]
        send({"part": part, "do": do, "arguments": encoded, "named": named})

    return call


def make_call(session: Session, message: Message) -> None:
    """Make the call of a message on the invocation's session.

    Raises ValueError for a call that is not allowed; KeyError or TypeError for a message in
    another form.
    """
    part, do = message["part"], message["do"]
    if do not in ALLOWED_CALLS.get(part, ()):
        raise ValueError(f"a Dask worker called {part}.{do}, which tasks must not call")
    arguments = [_decode(one) for one in message["arguments"]]
    getattr(getattr(session, part), do)(*arguments, **message["named"])


def _encode(value: object) -> object:
    if isinstance(value, RunPlan):
        return {"run plan": value._asdict()}
    if isinstance(value, Entry):
        return {"entry": value.model_dump(mode="json")}
    return value


def _decode(value: object) -> object:
    if isinstance(value, dict) and value.keys() == {"run plan"}:
        return RunPlan(**value["run plan"])
    if isinstance(value, dict) and value.keys() == {"entry"}:
        return Entry.model_validate(value["entry"])
    return value
