"""What every kind of worker has in common. Worker processes import it, so it imports little."""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from tasks.artifacts.worker import Listener

Returned = TypeVar("Returned")


class WorkerDiedError(RuntimeError):
    """The process that computed was killed or ran out of memory, or the run was stopped."""


class Workers(Protocol):
    """Computes the tasks of an invocation: processes on this machine, or workers of a cluster."""

    @property
    def stopped(self) -> bool:
        """Whether the invocation was interrupted or has ended."""

    def run(
        self,
        function: Callable[..., Returned],
        arguments: Mapping[str, object],
        on_event: Listener,
    ) -> Returned:
        """Compute ``function(**arguments)``; its events are passed to ``on_event``.

        Raises what the function raises, or WorkerDiedError.
        """
