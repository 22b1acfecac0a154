"""A graph takes the tasks of a study or of a pipeline: to run them, or to look them up."""

from typing import Generic, Protocol, TypeVar

from tasks.cache.identity import Identity
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
