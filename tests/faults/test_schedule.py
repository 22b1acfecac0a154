"""A study on a schedule: killed, caught up with, refused."""

import os
import signal
import time
import urllib.error
import urllib.request
from contextlib import suppress
from datetime import datetime

import psutil
import pytest

from tests.faults.conftest import SHORT_TRAINING
from tests.servers import asked

SERVE = ["serve", "smoke", "--section", "depth_sweep", "--set", "depths=[2]"]
INTERVAL = 30  # seconds; longer than a run that computes nothing takes on a busy machine
PATIENCE = 300


def runs(server):
    """The flow runs of the deployment that are due, the oldest first."""
    found = asked(
        f"{server}/flow_runs/filter",
        sort="EXPECTED_START_TIME_ASC",
        deployments={"name": {"any_": ["smoke"]}},
        flow_runs={"state": {"type": {"not_any_": ["SCHEDULED"]}}},
    )
    return [(run["state_name"], run["state"]["message"], run) for run in found]


def wait_for(question):
    deadline = time.monotonic() + PATIENCE
    while not question():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)


@pytest.fixture
def serve(study):
    """Starts serving; whatever is left at the end is killed."""
    started = []

    def start():
        process = study.start(*SERVE, "--interval", str(INTERVAL))
        started.append(process)
        return process

    yield start
    for process in started:
        with suppress(psutil.NoSuchProcess):
            for one in [*psutil.Process(process.pid).children(recursive=True), process]:
                one.kill()
        process.communicate()


def stop(process):
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=60)


def engine_of(process):
    """The process that runs the flow."""
    children = psutil.Process(process.pid).children(recursive=True)
    return next(one for one in children if "prefect.engine" in " ".join(one.cmdline()))


def test_a_killed_run_is_crashed_and_the_next_completes_its_work(study, server, serve):
    process = serve()
    wait_for(lambda: list((study.home / "store" / "train").glob("*")))
    engine_of(process).kill()
    wait_for(lambda: [name for name, _, _ in runs(server)][:1] == ["Crashed"])
    wait_for(lambda: [name for name, _, _ in runs(server)].count("Completed") >= 2)
    completed = [said for name, said, _ in runs(server) if name == "Completed"]
    assert "cached" in completed[0]
    assert "done" in completed[0]
    assert set(completed[1:]) == {"6 cached"}
    stop(process)
    assert study.latest().tasks[SHORT_TRAINING].outcome == "cached"

    watching = asked(f"{server}/automations/filter")
    before = len(runs(server))
    stopped = time.time()
    time.sleep(3 * INTERVAL)
    process = serve()
    wait_for(lambda: len(runs(server)) > before)
    wait_for(
        lambda: all(name in {"Completed", "Cancelled"} for name, _, _ in runs(server)[before:])
    )
    missed = [
        name
        for name, _, run in runs(server)[before:]
        if stopped < datetime.fromisoformat(run["expected_start_time"]).timestamp() < time.time()
    ]
    stop(process)
    assert asked(f"{server}/automations/filter") == watching  # made anew they forget running runs
    assert missed.count("Cancelled") >= 1
    assert missed.count("Completed") <= 2  # one for all that was missed, and that which is due now


def test_a_bad_value_is_refused_where_a_run_is_asked_for(study, server, serve):
    serve()
    filtered = f"{server}/deployments/filter"
    wait_for(lambda: asked(filtered, deployments={"name": {"any_": ["smoke"]}}))
    (deployment,) = asked(filtered, deployments={"name": {"any_": ["smoke"]}})
    with pytest.raises(urllib.error.HTTPError, match=r"409|422") as caught:
        asked(
            f"{server}/deployments/{deployment['id']}/create_flow_run",
            parameters={"config": {"name": "x", "training": {"epochs": 0}}},
        )
    assert "training.epochs" in caught.value.read().decode()
