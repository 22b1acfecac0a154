"""Stacks: tasks of one invocation that differ only in their seed and are computed together."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from models.specs import Value
from tasks.cache.canonical import digest
from tasks.cache.identity import Identity, task_name
from tasks.cache.step import Inputs, SeedStackStep, Step


class Peer(NamedTuple):
    """A task of a stack: its name, its identity, and the input that holds its seed."""

    name: str
    identity: Identity
    input_with_seed: Value


class SeedStacks:
    """Groups tasks that are computed together, at most ``size`` in a stack."""

    def __init__(self, size: int):
        self._size = size
        self._by_other_inputs: dict[str, list[list[Peer]]] = {}  # by digest of all but the seed
        self._of_task: dict[str, list[Peer]] = {}
        self._locks: dict[int, threading.Lock] = {}  # by id of the stack
        self._all_submitted = threading.Event()

    def add(self, step: Step, identity: Identity, inputs: Inputs) -> None:
        """Put a submitted task into a stack; its upstream tasks need not have finished."""
        if not isinstance(step, SeedStackStep) or self._size == 1:
            return
        own = inputs[step.seed_input]
        assert isinstance(own, Value)
        other_inputs = inputs | {step.seed_input: own.model_copy(update={"seed": 0})}
        values = {key: value for key, value in other_inputs.items() if isinstance(value, Value)}
        stacks = self._by_other_inputs.setdefault(digest([step.name, values]), [[]])
        if len(stacks[-1]) == self._size:
            stacks.append([])
        name = task_name(step.name, identity)
        stacks[-1].append(Peer(name, identity, own))
        self._of_task[name] = stacks[-1]
        self._locks.setdefault(id(stacks[-1]), threading.Lock())

    def mark_all_submitted(self) -> None:
        """Say that every stack is complete. Tasks in a stack wait for this before they start."""
        self._all_submitted.set()

    @contextmanager
    def lock_stack(self, name: str) -> Iterator[list[Peer]]:
        """Lock the stack of a task. Yields the other tasks that have not locked it before.

        A task without a stack locks nothing and has no peers.
        """
        stack = self._of_task.get(name)
        if stack is None:
            yield []
            return
        self._all_submitted.wait()
        with self._locks[id(stack)]:
            stack[:] = [peer for peer in stack if peer.name != name]
            yield list(stack)
