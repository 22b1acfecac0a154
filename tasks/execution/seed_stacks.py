"""Tasks of one invocation that differ in their seed only, and are computed together."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from models.specs import Value
from tasks.cache.canonical import digest
from tasks.cache.identity import Identity, task_name
from tasks.cache.step import SeedStackStep, Step


class Peer(NamedTuple):
    """A task of a stack: what identifies it, and the one input that is its own."""

    name: str
    identity: Identity
    seeded: Value


class SeedStacks:
    """Which tasks are computed together, ``size`` at most."""

    def __init__(self, size: int):
        self._size = size
        self._by_shape: dict[str, list[list[Peer]]] = {}  # by all values but the seed
        self._of_task: dict[str, list[Peer]] = {}
        self._turns: dict[int, threading.Lock] = {}
        self._all_submitted = threading.Event()

    def add(self, step: Step, identity: Identity, inputs: dict[str, Any]) -> None:
        """A task is submitted; its inputs may not be computed yet."""
        if not isinstance(step, SeedStackStep) or self._size == 1:
            return
        own: Value = inputs[step.seeded]
        shape = inputs | {step.seeded: own.model_copy(update={"seed": 0})}
        values = {key: value for key, value in shape.items() if isinstance(value, Value)}
        stacks = self._by_shape.setdefault(digest([step.name, values]), [[]])
        if len(stacks[-1]) == self._size:
            stacks.append([])
        name = task_name(step.name, identity)
        stacks[-1].append(Peer(name, identity, own))
        self._of_task[name] = stacks[-1]
        self._turns.setdefault(id(stacks[-1]), threading.Lock())

    def close(self) -> None:
        """Every task is submitted; those that wait for their peers may start."""
        self._all_submitted.set()

    @contextmanager
    def turn(self, name: str) -> Iterator[list[Peer]]:
        """The tasks of its stack that had no turn yet, while none of them is being computed."""
        stack = self._of_task.get(name)
        if stack is None:
            yield []
            return
        self._all_submitted.wait()
        with self._turns[id(stack)]:
            stack[:] = [peer for peer in stack if peer.name != name]
            yield list(stack)
