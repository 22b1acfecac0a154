"""A worker for Prefect's work pools that lets its runs close their records when it is stopped.

Prefect finds it by the entry point `prefect.collections`, and starts it for work pools of the type
`latent-study`.
"""

import os
import signal
from contextlib import suppress
from typing import Any

import anyio
import anyio.abc
from prefect.workers.process import ProcessWorker

CLOSE_SECONDS = 6.0  # a run that gets a signal ends within five


class StudyWorker(ProcessWorker):
    """Runs each flow in a process, as Prefect's own worker does, and cancels it when it is stopped.

    Prefect's own kills the process at once, so that the flow run becomes Crashed.
    """

    type = "latent-study"
    _display_name = "Latent study"
    _description = "Runs flows as processes; a worker that is stopped cancels its runs."

    async def run(self, flow_run: Any, configuration: Any, task_status: Any = None) -> Any:
        """Run the flow in a process until it ends; ``task_status`` is told the process id."""
        result = None
        running, ended = anyio.CancelScope(shield=True), anyio.Event()

        async def run_in_process(task_status: anyio.abc.TaskStatus[int]) -> None:
            nonlocal result
            with running:
                result = await super(StudyWorker, self).run(flow_run, configuration, task_status)
            ended.set()

        async with anyio.create_task_group() as group:
            process: int = await group.start(run_in_process)
            if task_status is not None:
                task_status.started(process)
            try:
                await ended.wait()
            except anyio.get_cancelled_exc_class():  # the worker is stopped
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGTERM)
                running.deadline = anyio.current_time() + CLOSE_SECONDS
                raise
        return result
