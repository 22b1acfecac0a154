"""The workers of a Dask cluster, as used by the process that runs the invocation."""

import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from tasks.artifacts.worker import Listener
from tasks.cache import signatures
from tasks.execution.dask_messages import Message, make_call
from tasks.execution.dask_task import DaskContext
from tasks.execution.session import InvocationSession
from tasks.execution.worker_processes import WorkerProcesses
from tasks.execution.workers import Returned
from tasks.own_code.own_code import OwnCode
from tasks.own_code.registry import texts_of
from tasks.system.folders import folder_variables
from tasks.system.hardware import Device

if TYPE_CHECKING:
    from distributed import Client


class DaskWorkers:
    """Receives the messages of tasks on the cluster, and stops the tasks.

    ``here`` computes the tasks of steps that are not shared, on the machine of the invocation.
    ``own_codes`` is the user's code that tasks may run, by digest.
    """

    def __init__(
        self,
        client: "Client",
        invocation: str,
        forced: set[str],
        threads: int,
        device: Device,
        here: WorkerProcesses,
        own_codes: Mapping[str, OwnCode] | None = None,
    ):
        from distributed import Event

        self.dask_context = DaskContext(
            invocation,
            signatures.sign(invocation),
            folder_variables(),
            frozenset(forced),
            threads,
            device,
            texts_of(own_codes or {}),
        )
        self.stopped = False
        self._client, self._stop = client, Event(invocation, client=client)
        self._here = here

    def run(
        self,
        function: Callable[..., Returned],
        arguments: Mapping[str, object],
        on_event: Listener,
    ) -> Returned:
        """Compute a task that does not run on the cluster. Raises as WorkerProcesses."""
        return self._here.run(function, arguments, on_event)

    def listen(self, session: InvocationSession) -> None:
        """Make the calls on the session that the tasks send."""

        def receive(event: tuple[float, Message]) -> None:
            if self.stopped:  # a message may overtake the end of the subscription
                return
            try:
                _, message = event  # the first is the time
                make_call(session, message)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                why = " ".join(str(error).split())
                warnings.warn(f"a message of the Dask cluster was ignored: {why}", stacklevel=2)

        self._client.subscribe_topic(self.dask_context.invocation, receive)

    def stop(self) -> None:
        """Make running computations end after their current epoch."""
        if not self.stopped:
            self.stopped = True
            with suppress(Exception):  # the cluster may be gone
                self._client.unsubscribe_topic(self.dask_context.invocation)
                self._stop.set()
            self._here.stop()
