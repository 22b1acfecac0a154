"""Snapshots of a training between two epochs, and where they are kept."""

from typing import Any, NamedTuple, Protocol

from torch import Tensor


class Snapshot(NamedTuple):
    """A training between two epochs: tensors by name, and JSON data."""

    tensors: dict[str, Tensor]
    data: dict[str, Any]

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return int(self.data["epoch"])


class Checkpoint(Protocol):
    """Where a training keeps its newest snapshot."""

    def save(self, snapshot: Snapshot) -> None:
        """Keep this snapshot instead of the previous one."""

    def load(self) -> Snapshot | None:
        """The newest snapshot, None if there is none."""
