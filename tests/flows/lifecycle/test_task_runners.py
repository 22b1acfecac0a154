import socket

import pytest
from prefect.task_runners import ThreadPoolTaskRunner

from flows.configuration.runner_config import RunnerConfig
from flows.lifecycle import task_runners
from flows.lifecycle.task_runners import check_cluster, open_runners
from models.specs import ConfigError
from tasks.execution.worker_processes import WorkerProcesses


@pytest.fixture
def scheduler():
    """The address of something that listens where a Dask scheduler could."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"tcp://127.0.0.1:{listening.getsockname()[1]}"


def dask(address):
    return RunnerConfig(kind="dask", address=address)


def test_here_threads_submit_to_as_many_worker_processes():
    config = RunnerConfig(width=3, threads=2, device="cpu")
    with open_runners(config, "invocation", set()) as (runners, workers):
        assert runners.here is runners.shared
        assert isinstance(runners.here, ThreadPoolTaskRunner)
        assert runners.here._max_workers == 3
        assert isinstance(workers, WorkerProcesses)
        assert (workers._free.qsize(), workers._threads, workers._device) == (3, 2, "cpu")
        assert workers.dask_context is None
    workers.stop()


def test_without_an_address_there_is_nothing_to_check(monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *_: pytest.fail("it was asked"))
    check_cluster(RunnerConfig())


def test_a_scheduler_that_answers_is_accepted(scheduler, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    check_cluster(dask(scheduler))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "tcp://127.0.0.1:70000"])
def test_a_scheduler_that_does_not_answer_is_refused(address):
    with pytest.raises(ConfigError, match=f"runner.address: '{address}' does not answer"):
        check_cluster(dask(address))


def test_a_cluster_needs_prefect_dask(monkeypatch):
    monkeypatch.setattr(task_runners, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'latent-study\[team\]'"):
        check_cluster(dask("tcp://127.0.0.1:9"))


@pytest.mark.parametrize(
    ("api", "refused"),
    [(None, True), ("http://localhost:4200/api", True), ("http://192.0.2.1:4200/api", False)],
)
def test_other_machines_must_reach_prefects_server(monkeypatch, api, refused):
    monkeypatch.setattr(socket, "create_connection", lambda *_: socket.socket())
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    if api is not None:
        monkeypatch.setenv("PREFECT_API_URL", api)
    config = dask("tcp://192.0.2.7:8786")
    if refused:
        with pytest.raises(ConfigError, match="set PREFECT_API_URL"):
            check_cluster(config)
    else:
        check_cluster(config)
