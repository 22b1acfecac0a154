"""A step: what a cached task computes, how its key is made, and which MLflow run shows it.

The key is the digest of the step's name, its inputs (of an upstream entry, its fingerprint) and
the code that it reaches. This module starts no computation, so a plan needs no engine.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tasks.cache.canonical import Json, JsonObject, digest, to_json
from tasks.code.code_digest import code_digest, code_parts

# An input of any step that is part of the key only; see ``provenance.releases_in_keys``.
VERSIONS = "versions"
Compute = Callable[..., Any]
Inputs = dict[str, object]  # by parameter: plain values, frozen models, entries, lists of these
Result = JsonObject


class Member(NamedTuple):
    """One entry that a computation makes: its inputs and its own folders.

    ``folder`` takes the files of the entry. ``checkpoints`` is kept after a kill; it is None
    unless the step is resumable.
    """

    inputs: Inputs
    folder: Path
    checkpoints: Path | None


@dataclass(frozen=True, eq=False)
class Step:
    """One kind of task: it calls ``compute(folder, **inputs) -> result``.

    ``compute`` writes files into ``folder`` and returns JSON data. If the step is ``resumable`` it
    also takes ``checkpoints``, a folder from which it continues after a kill. With a ``kind`` every
    entry has its own MLflow run with that tag; ``logs_to`` names the input whose run receives the
    entry's metrics and figures. ``settings`` maps inputs to the configuration keys they come from.
    Entries of a step that is not ``shared`` hold files that could run code for whoever opens them:
    they are computed on the machine of the invocation and never copied between machines.
    """

    compute: Compute
    name: str
    kind: str | None = None
    logs_to: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    resumable: bool = False
    shared: bool = True

    def __post_init__(self) -> None:
        takes = "checkpoints" in inspect.signature(self.compute).parameters
        assert takes == self.resumable, f"{self.name}: exactly resumable steps take checkpoints"

    @property
    def code(self) -> dict[str, str]:
        """Digest of every project definition that the computation reaches."""
        return code_parts(self.compute.__module__, self.compute.__name__)

    def key(self, inputs: Inputs) -> str:
        """The key of this computation for these inputs: a SHA-256 in hex."""
        return digest([self.name, inputs, code_digest(self.compute)])

    def inputs_as_json(self, inputs: Inputs) -> dict[str, Json]:
        """The inputs as plain data, as they count in the key: upstream entries by fingerprint."""
        return {name: to_json(value) for name, value in inputs.items()}

    def arguments(self, members: Sequence[Member]) -> Inputs:
        """The arguments of ``compute`` for one member. Raises ValueError for more members."""
        (only,) = members
        arguments = _computed_from(only.inputs) | {"folder": only.folder}
        return arguments | {"checkpoints": only.checkpoints} if self.resumable else arguments

    def results(self, returned: Any) -> Sequence[Result | Exception]:
        """The results of the members, taken from what ``compute`` returned."""
        return [returned]


def _computed_from(inputs: Inputs) -> Inputs:
    return {name: value for name, value in inputs.items() if name != VERSIONS}


@dataclass(frozen=True, eq=False, kw_only=True)
class SeedStackStep(Step):
    """A step that computes any number of members, which differ in their seed, in one call.

    ``seed_input`` names the input that contains the seed. ``compute`` takes a list for this input
    and for each folder, and returns a list with a result or an exception for each member.
    """

    seed_input: str

    def arguments(self, members: Sequence[Member]) -> Inputs:
        """The arguments of ``compute``. All inputs but ``seed_input`` are those of the first."""
        own: Inputs = {
            self.seed_input: [member.inputs[self.seed_input] for member in members],
            "folder": [member.folder for member in members],
        }
        if self.resumable:
            own["checkpoints"] = [member.checkpoints for member in members]
        return _computed_from(members[0].inputs) | own

    def results(self, returned: Any) -> Sequence[Result | Exception]:
        """The results of the members, taken from what ``compute`` returned."""
        return list(returned)
