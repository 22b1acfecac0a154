"""A graph takes the tasks of a study or of a pipeline: to run them, or to look them up."""

import inspect
import re
from typing import Any, Generic, Protocol, TypeVar

from models.specs import ConfigError
from tasks.cache.canonical import to_json
from tasks.cache.entry import NAME_OF_FOLDER
from tasks.cache.identity import Identity, task_name
from tasks.cache.nested import map_leaves
from tasks.cache.provenance import releases_in_keys
from tasks.cache.step import VERSIONS, Step

Node = TypeVar("Node")  # a submitted task, which may be an input of other tasks
Node_co = TypeVar("Node_co", covariant=True)


class Graph(Protocol[Node_co]):
    """Takes the tasks of a study."""

    def submit(
        self, step: Step, identity: Identity, group: str | None = None, **inputs: object
    ) -> Node_co:
        """Take one task of a step. Its group is the step's name unless one is given."""


class GraphWithVersions(Generic[Node]):
    """Passes tasks on with the releases of libraries in their keys."""

    def __init__(self, graph: Graph[Node]):
        self._graph = graph

    def submit(
        self, step: Step, identity: Identity, group: str | None = None, **inputs: object
    ) -> Node:
        """Take one task of a step. Its group is the step's name unless one is given."""
        versions = {VERSIONS: releases_in_keys()}
        return self._graph.submit(step, identity, group, **inputs, **versions)


class NoGraph:
    """Takes tasks and does nothing with them."""

    def submit(
        self, step: Step, identity: Identity, group: str | None = None, **inputs: object
    ) -> object:
        """A new object in place of a task."""
        return object()


class CheckedGraph:
    """Passes tasks of a user's own steps on, and refuses what would fail later, or go unnoticed."""

    def __init__(self, graph: Graph[Any]):
        self._graph = graph
        self._nodes: dict[int, object] = {}  # what submit returned, by id
        self.names: set[str] = set()  # of the tasks

    def submit(
        self, step: Step, identity: Identity, group: str | None = None, **inputs: object
    ) -> Any:
        """Take one task.

        Raises ConfigError for a step that workers cannot import, inputs that have no key, and a
        name that another task has.
        """
        _check_step(step)
        name = task_name(step.name, identity)
        for key, value in identity.items():
            self._check_value(f"{name}: {key!r}, which distinguishes it,", value)
        for key, value in inputs.items():
            self._check_value(f"{name}: input {key!r}", value)
        try:
            inspect.signature(step.compute).bind(folder=None, **inputs)
        except TypeError as error:
            raise ConfigError(f"{name}: {step.compute.__qualname__}: {error}") from None
        if name in self.names:
            raise ConfigError(
                f"two tasks are called {name}; say in the second argument of submit what "
                "distinguishes them"
            )
        self.names.add(name)
        node = self._graph.submit(step, identity, group, **inputs)
        self._nodes[id(node)] = node
        return node

    def _check_value(self, place: str, value: object) -> None:
        def without_nodes(leaf: object) -> object:
            return None if id(leaf) in self._nodes else leaf

        try:
            to_json(map_leaves(value, without_nodes))
        except TypeError as error:
            raise ConfigError(
                f"{place}: {error}; give texts, numbers, lists and mappings of them, or tasks, and "
                "of a file its text or a digest of it"
            ) from None


def _check_step(step: Step) -> None:
    compute = step.compute
    if not re.fullmatch(NAME_OF_FOLDER, step.name):
        raise ConfigError(f"step {step.name!r}: its name has letters, digits and _, at most 64")
    if compute.__qualname__ != compute.__name__ or not compute.__name__.isidentifier():
        raise ConfigError(
            f"step {step.name!r}: {compute.__qualname__} is not at the top level of a file; define "
            "it there, where workers can import it"
        )
