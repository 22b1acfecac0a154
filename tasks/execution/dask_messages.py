"""What a task on a Dask worker may tell the invocation, as events of the cluster.

An event is ``{"part": "display", "do": "epoch", "arguments": [...], "named": {...}}``: one call of
a method of the session. Only the calls listed here are sent, and only these are carried out.
"""

from collections.abc import Callable
from typing import Any

from tasks.cache.entry import Entry
from tasks.tracking.run_plan import RunPlan

ALLOWED_CALLS = {
    "display": {"begin", "epoch", "warn"},
    "tracker": {"begin", "log_epoch", "log_entry", "fail"},
    "log": {"task"},
}
Send = Callable[[dict[str, Any]], None]


class Relay:
    """Stands for a part of the invocation's session on a worker: every allowed call is sent."""

    def __init__(self, part: str, send: Send):
        for do in ALLOWED_CALLS[part]:
            setattr(self, do, _sender(part, do, send))


def _sender(part: str, do: str, send: Send) -> Callable[..., None]:
    def call(*arguments: Any, **named: Any) -> None:
        packed = [_packed(one) for one in arguments]
        send({"part": part, "do": do, "arguments": packed, "named": named})

    return call


def carry_out(session: Any, event: dict[str, Any]) -> None:
    """Make the call of an event on the invocation's session.

    Raises ValueError for a call that is not allowed.
    """
    part, do = event["part"], event["do"]
    if do not in ALLOWED_CALLS.get(part, ()):
        raise ValueError(f"a Dask worker asked for {part}.{do}, which tasks do not use")
    arguments = [_unpacked(one) for one in event["arguments"]]
    getattr(getattr(session, part), do)(*arguments, **event["named"])


def _packed(value: Any) -> Any:
    if isinstance(value, RunPlan):
        return {"run plan": value._asdict()}
    if isinstance(value, Entry):
        return {"entry": value.model_dump(mode="json")}
    return value


def _unpacked(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"run plan"}:
        return RunPlan(**value["run plan"])
    if isinstance(value, dict) and value.keys() == {"entry"}:
        return Entry.model_validate(value["entry"])
    return value
