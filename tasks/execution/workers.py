"""What every kind of worker has in common; light, for worker processes import it."""

from collections.abc import Callable
from typing import Any, Protocol

Event = dict[str, Any]  # what a computation reports of an epoch, as JSON data
OnEvent = Callable[[Event], None]


class WorkerDiedError(RuntimeError):
    """The process that computed was killed or ran out of memory, or the run was stopped."""


class Workers(Protocol):
    """Whatever computes the tasks of an invocation: processes here, or the workers of a cluster."""

    @property
    def stopped(self) -> bool:
        """Whether the invocation was interrupted or is over."""

    def run(
        self, function: Callable[..., Any], arguments: dict[str, Any], on_event: OnEvent
    ) -> Any:
        """Compute ``function(**arguments)``; events of the computation reach ``on_event``.

        Raises what the function raises, or WorkerDiedError.
        """
