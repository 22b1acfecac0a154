"""The smoke study over a Dask cluster: the same bits, whoever dies, and one store for a team."""

import os
import re
import shutil
import time
from pathlib import Path

import pytest
import s3fs

from flows.configuration.runner_config import RunnerConfig
from flows.lifecycle.task_runners import check_cluster
from models.specs import ConfigError
from tests.conftest import SMOKE_TASKS
from tests.dask_cluster import DaskCluster
from tests.faults.conftest import PYTHON, SHORT, SHORT_TRAINING
from tests.faults.logged import logged
from tests.servers import (
    end,
    free_port,
    start,
)

ROOT = Path(__file__).parents[2]
OUTAGE = 60
DONE_OR_CACHED = re.compile(r"'tasks_(done|cached)': \[[^]]*\],? ?")


def nothing(cluster, tracking):
    return 0


def a_worker_dies(cluster, tracking):
    end(cluster.workers[0])
    return 0


def mlflow_dies(cluster, tracking):
    tracking.stop()
    return OUTAGE


@pytest.mark.parametrize("trouble", [nothing, a_worker_dies, mlflow_dies])
def test_a_cluster_computes_the_same_bits(
    study, servers_on_postgresql, expected, reference, trouble
):
    with DaskCluster(3) as cluster:
        process = study.start("run", "smoke", *cluster.settings)
        while not list((study.home / "store" / "train").glob("*")):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        outage = trouble(cluster, servers_on_postgresql)
        began = time.monotonic()
        _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert study.fingerprints() == expected
    if trouble is nothing:
        page = (study.home / "reports" / "smoke" / "index.html").read_text()
        assert f"0 of {SMOKE_TASKS - 1} tasks came from the cache" in page
    if outage:
        time.sleep(max(0, began + outage - time.monotonic()))
        servers_on_postgresql.start()
        study.run("sync")
    found = logged()
    if trouble is a_worker_dies:  # it may have published an entry, which its successor then found
        found, reference = (
            [DONE_OR_CACHED.sub("", run) for run in runs] for runs in (found, reference)
        )
    assert found == reference


def test_a_worker_that_runs_other_code_is_refused_by_name(study, tmp_path):
    for package in ("flows", "tasks", "models"):
        shutil.copytree(ROOT / package, tmp_path / "old" / package)
    older = tmp_path / "old" / "models" / "training" / "loop.py"
    older.write_text(older.read_text().replace("SAMPLED_EPOCHS = 10", "SAMPLED_EPOCHS = 11"))
    with DaskCluster(1, PYTHONPATH=str(tmp_path / "old")) as cluster:
        said = study.run(*SHORT, *cluster.settings, code=1)
    changed = "models.training.loop:MAX_SAMPLED_EPOCHS"
    assert f"runs other code than this study ({changed})" in said.stderr_text
    assert "the Dask worker tcp://127.0.0.1:" in said.stderr_text


def test_machines_with_one_store_do_not_train_twice(study, expected, tmp_path):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    variables = keys | {"AWS_ENDPOINT_URL": address, "STUDY_STORE": "s3://team/store"}
    study.variables |= variables
    moto = start([PYTHON, "-m", "moto.server", "-p", str(port)], f"{address}/moto-api", None)
    try:
        files = s3fs.S3FileSystem(
            endpoint_url=address, key="test", secret="test", skip_instance_cache=True
        )
        files.mkdir("team")
        with DaskCluster(0) as cluster:
            for machine in ("first", "second"):
                cluster.add(**variables, STUDY_HOME=str(tmp_path / machine))
            study.run("run", "smoke", *cluster.settings)
        trained = [os.listdir(tmp_path / one / "store/train") for one in ("first", "second")]
        assert all(trained)
        assert len({*trained[0], *trained[1]}) == 5
        study.move(tmp_path / "third")
        assert "cached" in study.run("run", "smoke").stdout_text
        assert study.fingerprints() == expected
        key = study.latest().tasks[SHORT_TRAINING].key
        files.pipe_file(f"team/store/train/{key}/weights.safetensors", b"damaged")
        study.move(tmp_path / "fourth")
        with DaskCluster(0) as cluster:
            cluster.add(**variables, STUDY_HOME=str(tmp_path / "fourth"))
            said = study.run(*SHORT, *cluster.settings)
        assert "weights.safetensors" in said.stderr_text
        assert f"{SHORT_TRAINING} done" in said.stdout_text
        study.assert_same_results(expected)
    finally:
        end(moto)


@pytest.mark.parametrize(
    ("address", "api", "said"),
    [
        ("tcp://127.0.0.1:1", None, "does not answer"),
        ("tcp://{host}:{port}", "http://127.0.0.1:4200/api", "set PREFECT_API_URL"),
    ],
)
def test_a_cluster_that_is_of_no_use_is_refused_at_once(monkeypatch, address, api, said):
    if api:
        monkeypatch.setenv("PREFECT_API_URL", api)
    with DaskCluster(0) as cluster:
        host, port = "0.0.0.0", cluster.address.rpartition(":")[2]
        config = RunnerConfig(kind="dask", address=address.format(host=host, port=port))
        with pytest.raises(ConfigError, match=said):
            check_cluster(config)
