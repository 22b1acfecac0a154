"""A step: what a cached task computes, how it is keyed, and where MLflow shows it.

Its key is the digest of the step's name, its inputs (an upstream entry counts by its content) and
the code it reaches. Nothing here runs anything, so a study can be planned without an engine.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tasks.cache.canonical import digest, to_json
from tasks.cache.code_digest import code_digest, code_parts

Compute = Callable[..., Any]
Result = dict[str, Any]  # JSON data


class Member(NamedTuple):
    """One entry that a computation makes: its inputs, and the folders that are its own.

    ``checkpoints`` survives a kill; only a resumable step has it.
    """

    inputs: dict[str, Any]
    folder: Path
    checkpoints: Path | None


@dataclass(frozen=True, eq=False)
class Step:
    """One kind of task, around ``compute(folder, **inputs) -> result``.

    ``compute`` writes files into ``folder`` and returns JSON data. If the step is ``resumable`` it
    also takes ``checkpoints``, a folder that it continues from after a kill. ``kind`` gives every
    entry an MLflow run of its own with that tag; ``logs_to`` names the input whose run receives the
    entry's metrics and pictures. ``settings`` says how the configuration calls an input.
    """

    compute: Compute
    name: str
    kind: str | None = None
    logs_to: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    resumable: bool = False

    def __post_init__(self) -> None:
        takes = "checkpoints" in inspect.signature(self.compute).parameters
        assert takes == self.resumable, f"{self.name}: resumable, and a parameter 'checkpoints'"

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

    def arguments(self, members: Sequence[Member]) -> dict[str, Any]:
        """What the computation of one member takes."""
        (only,) = members
        arguments = only.inputs | {"folder": only.folder}
        return arguments | {"checkpoints": only.checkpoints} if self.resumable else arguments

    def results(self, returned: Any) -> Sequence[Result | Exception]:
        """What the computation returned, for each member."""
        return [returned]


@dataclass(frozen=True, eq=False, kw_only=True)
class SeedStackStep(Step):
    """A step whose computation takes any number of members that differ in their seed, as one.

    ``seeded`` names the input that holds the seed. The computation takes lists in its place and in
    place of the folders, and returns a list with a result or an exception for each member.
    """

    seeded: str

    def arguments(self, members: Sequence[Member]) -> dict[str, Any]:
        """What the computation of these members takes; they share all inputs but the seeded one."""
        own: dict[str, list[Any]] = {
            self.seeded: [member.inputs[self.seeded] for member in members],
            "folder": [member.folder for member in members],
        }
        if self.resumable:
            own["checkpoints"] = [member.checkpoints for member in members]
        return members[0].inputs | own

    def results(self, returned: Any) -> Sequence[Result | Exception]:
        """What the computation returned, for each member."""
        return list(returned)
