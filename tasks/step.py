"""A step: what a cached task computes, how it is keyed, and where MLflow shows it.

``Step(compute, name)`` declares a task around ``compute(folder, **inputs) -> result``, which writes
files into ``folder`` and returns JSON data. Its key is the digest of the step's name, its inputs
(an upstream entry counts by its content) and the code it reaches. Nothing here runs anything, so a
study can be planned without an engine.
"""

import importlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tasks.canonical import digest, to_json
from tasks.code_digest import code_digest, code_parts

Compute = Callable[..., Any]
FOLDERS = ("folder", "checkpoints")  # parameters that say where, not what


@dataclass(frozen=True, eq=False)
class Step:
    """One kind of task.

    ``kind`` gives every entry an MLflow run of its own with that tag; ``logs_to`` names the input
    whose run receives the entry's metrics and pictures. ``settings`` says how the configuration
    calls an input. A computation with a parameter ``checkpoints`` resumes from that folder.
    ``seeded`` names the input that holds a seed, for a computation that takes several of these,
    each with its own folders, as one.
    """

    compute: Compute
    name: str
    kind: str | None = None
    logs_to: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    seeded: str | None = None

    @property
    def signature(self) -> inspect.Signature:
        """The inputs that decide the answer."""
        whole = inspect.signature(self.compute)
        named = [p for name, p in whole.parameters.items() if name not in FOLDERS]
        return whole.replace(parameters=named)

    @property
    def resumable(self) -> bool:
        """Whether the computation keeps checkpoints."""
        return "checkpoints" in inspect.signature(self.compute).parameters

    @property
    def code(self) -> dict[str, str]:
        """Digest of every project definition that the computation reaches."""
        return code_parts(self.compute.__module__, self.compute.__name__)

    def key(self, inputs: dict[str, Any]) -> str:
        """The key of this computation for these inputs, in hex."""
        return digest([self.name, inputs, code_digest(self.compute)])

    def recorded(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The inputs as plain data, each upstream entry by its content."""
        return {name: to_json(value) for name, value in inputs.items()}


class CodeChangedError(RuntimeError):
    """The code on disk is not the code that a key was made of."""


def code_difference(compute: Compute, code: dict[str, str]) -> list[str]:
    """The definitions, of those that the computation reaches, that this process has otherwise.

    Everything that it reaches is imported first, so that a later edit can't slip in.
    """
    for module in {part.partition(":")[0] for part in code}:
        if "/" not in module:
            importlib.import_module(module)
    here = code_parts(compute.__module__, compute.__name__)
    return sorted(part for part in here.keys() | code if here.get(part) != code.get(part))


def compute_exactly(compute: Compute, code: dict[str, str], arguments: dict[str, Any]) -> Any:
    """Compute with exactly this code, or not at all; runs in a worker process.

    Raises CodeChangedError if the files hold other code than the key's.
    """
    changed = code_difference(compute, code)
    if changed:
        raise CodeChangedError(
            f"the code changed while the study was running ({', '.join(changed[:3])}); run it again"
        )
    return compute(**arguments)


def leaves(value: Any) -> Iterator[Any]:
    """The values in an input, through lists and mappings."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def map_leaves(value: Any, change: Callable[[Any], Any]) -> Any:
    """The value with every leaf changed, through lists, tuples and mappings."""
    if isinstance(value, dict):
        return {name: map_leaves(item, change) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map_leaves(item, change) for item in value)
    return change(value)
