"""Tasks of one invocation that differ in their seed only, and are computed together."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from models.specs import Value
from tasks.canonical import digest
from tasks.step import Step


class Peer(NamedTuple):
    """A task of a stack: its name, and the one input that is its own."""

    name: str
    seeded: Value


class Stacks:
    """Which tasks are computed together, ``size`` at most."""

    def __init__(self, size: int):
        self._size = size
        self._shapes: dict[str, list[list[Peer]]] = {}
        self._of_task: dict[str, list[Peer]] = {}
        self._turns: dict[int, threading.Lock] = {}
        self._complete = threading.Event()

    def add(self, step: Step, name: str, inputs: dict[str, Any]) -> None:
        """A task is submitted; what it needs may not be computed yet."""
        if step.seeded is None or self._size == 1:
            return
        own = inputs[step.seeded]
        shape = inputs | {step.seeded: own.model_copy(update={"seed": 0})}
        values = {key: value for key, value in shape.items() if isinstance(value, Value)}
        stacks = self._shapes.setdefault(digest([step.name, values]), [[]])
        if len(stacks[-1]) == self._size:
            stacks.append([])
        stacks[-1].append(Peer(name, own))
        self._of_task[name] = stacks[-1]
        self._turns.setdefault(id(stacks[-1]), threading.Lock())

    def complete(self) -> None:
        """Every task is submitted."""
        self._complete.set()

    @contextmanager
    def turn(self, name: str) -> Iterator[list[Peer]]:
        """The tasks of its stack that had no turn yet, while none of them is being computed."""
        stack = self._of_task.get(name)
        if stack is None:
            yield []
            return
        self._complete.wait()
        with self._turns[id(stack)]:
            stack[:] = [peer for peer in stack if peer.name != name]
            yield list(stack)
