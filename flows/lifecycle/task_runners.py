"""Where the tasks of an invocation run: worker processes on this machine, or a Dask cluster."""

import os
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from flows.configuration.runner_config import RunnerConfig
from flows.servers.health import is_loopback
from models.specs import ConfigError
from tasks.execution.worker_processes import take_workers

if TYPE_CHECKING:
    from prefect.task_runners import TaskRunner

    from tasks.execution.session import InvocationWorkers
    from tasks.own_code.own_code import OwnCode

CONNECT_SECONDS = 5.0


class Runners(NamedTuple):
    """Where Prefect runs tasks: those of shared steps, and those of others on this machine."""

    shared: "TaskRunner[Any]"
    here: "TaskRunner[Any]"


@contextmanager
def open_runners(
    config: RunnerConfig,
    invocation: str,
    forced: set[str],
    own_codes: "Mapping[str, OwnCode] | None" = None,
    uses_torch: bool = True,
) -> Iterator[tuple[Runners, "InvocationWorkers"]]:
    """Open the task runners and the workers of an invocation.

    ``forced`` names the tasks to compute although they are in the store. ``own_codes`` is the
    user's code that they may run, by digest. Without ``uses_torch`` workers here start faster.
    """
    from prefect.task_runners import ThreadPoolTaskRunner

    threads, device = config.threads_per_task, config.device
    here = take_workers(config.tasks_at_once, threads, device, uses_torch)
    threads_here: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=config.tasks_at_once)
    if config.kind == "local":
        with threads_here as runner:
            yield Runners(runner, runner), here
        return
    from prefect_dask.task_runners import DaskTaskRunner

    from tasks.execution.dask_workers import DaskWorkers

    with DaskTaskRunner(address=config.address) as cluster, threads_here as runner:
        if not cluster.client.scheduler_info()["workers"]:
            warnings.warn(
                f"the Dask cluster has no workers; start: dask worker {config.address}",
                stacklevel=2,
            )
        workers = DaskWorkers(cluster.client, invocation, forced, threads, device, here, own_codes)
        yield Runners(cluster, runner), workers


def check_cluster(config: RunnerConfig) -> None:
    """Raise ConfigError if the study cannot use the cluster of this configuration."""
    if config.address is None:
        return
    if find_spec("prefect_dask") is None:
        raise ConfigError("runner.kind: 'dask' needs: pip install 'latent-study[team]'")
    scheduler = urlsplit(config.address)
    try:
        socket.create_connection((scheduler.hostname, scheduler.port), CONNECT_SECONDS).close()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"runner.address: {config.address!r} does not answer ({error}); start a cluster there "
            "with: dask scheduler, and dask worker on each machine"
        ) from None
    api = urlsplit(os.environ.get("PREFECT_API_URL", "http://127.0.0.1"))
    if is_loopback(api.hostname) and not is_loopback(scheduler.hostname):
        raise ConfigError(
            f"runner.address: {config.address!r} is another machine, which cannot reach this "
            "machine's Prefect server; set PREFECT_API_URL to a server that both can reach"
        )
