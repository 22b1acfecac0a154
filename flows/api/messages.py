"""What the process of a run and the process that started it tell each other: JSON, a line each."""

import json
import os
from contextlib import suppress
from typing import Any, Literal, NotRequired, TypedDict

from flows.configuration.study_config import Section
from tasks.cache.canonical import JsonObject


class Request(TypedDict):
    """What to run; with ``relayed`` progress is sent, not printed."""

    config: JsonObject
    sections: list[Section]
    force: list[str]
    relayed: bool


class Progress(TypedDict):
    """How far a run is, and the newest line of its progress."""

    kind: Literal["progress"]
    finished: int
    total: int
    text: str


class End(TypedDict):
    """How a run ended: its invocation and the name of the error, as far as there are any."""

    kind: Literal["end"]
    invocation: str | None
    error: NotRequired[str]
    text: str


Message = Progress | End


def send(descriptor: int, message: Message) -> None:
    """Write a message to a pipe. Nobody may read it any more; then it is lost."""
    with suppress(OSError):
        os.write(descriptor, json.dumps(message).encode() + b"\n")


def received(line: bytes) -> Any:
    """The message in a line."""
    return json.loads(line)
