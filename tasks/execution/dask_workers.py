"""The workers of a Dask cluster, as the process sees them that runs the invocation."""

import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tasks.execution.dask_messages import carry_out
from tasks.execution.dask_task import DaskContext
from tasks.execution.session import InvocationSession
from tasks.execution.workers import OnEvent
from tasks.system.folders import folders
from tasks.system.hardware import Device

if TYPE_CHECKING:
    from distributed import Client


class DaskWorkers:
    """Receives what tasks on the cluster tell, and stops them."""

    def __init__(
        self, client: "Client", invocation: str, forced: set[str], threads: int, device: Device
    ):
        from distributed import Event

        self.dask_context = DaskContext(invocation, folders(), frozenset(forced), threads, device)
        self.stopped = False
        self._client, self._stop = client, Event(invocation, client=client)

    def run(
        self, function: Callable[..., Any], arguments: dict[str, Any], on_event: OnEvent
    ) -> Any:
        """Not used: every task of the invocation runs on the cluster."""
        raise AssertionError("tasks of an invocation on Dask run on the cluster")

    def listen(self, session: InvocationSession) -> None:
        """Carry out on the session what the tasks tell."""

        def hear(event: tuple[float, dict[str, Any]]) -> None:
            try:
                carry_out(session, event[1])
            except (KeyError, TypeError, ValueError) as error:
                warnings.warn(f"a message of the Dask cluster was ignored: {error}", stacklevel=2)

        self._client.subscribe_topic(self.dask_context.invocation, hear)

    def stop(self) -> None:
        """Have running computations end after their epoch."""
        if not self.stopped:
            self.stopped = True
            with suppress(Exception):  # the cluster may be gone
                self._client.unsubscribe_topic(self.dask_context.invocation)
                self._stop.set()
