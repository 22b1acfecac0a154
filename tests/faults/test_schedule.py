"""A study on a schedule: killed, caught up with, refused."""

import inspect
import os
import signal
import subprocess
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import psutil
import pytest
import requests

from flows.configuration.load import load_config
from tasks.system.polling import wait_until
from tasks.tracking.client import KIND_TAG, connect, search_everywhere
from tests.faults.conftest import PYTHON, SHORT_TRAINING
from tests.servers import asked, fetched

ROOT = Path(__file__).parents[2]
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
    assert wait_until(question, PATIENCE, every=0.2), inspect.getsource(question)


@pytest.fixture
def serve(study):
    """Starts serving; whatever is left at the end is killed."""
    started = []

    def start(*arguments, **variables):
        process = study.start(*SERVE, *(arguments or ("--interval", str(INTERVAL))), **variables)
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
    with pytest.raises(requests.HTTPError, match=r"409|422") as caught:
        asked(
            f"{server}/deployments/{deployment['id']}/create_flow_run",
            parameters={"config": {"name": "x", "training": {"epochs": 0}}},
        )
    assert "training.epochs" in caught.value.response.text


def of_run(server, kind, identifier):
    """Logs, artifacts or task runs of a flow run."""
    if kind == "logs":
        return asked(f"{server}/logs/filter", logs={"flow_run_id": {"any_": [identifier]}})
    return asked(f"{server}/{kind}/filter", flow_runs={"id": {"any_": [identifier]}})


def test_prefects_page_shows_how_a_run_went_and_a_second_one_waits(study, server, serve):
    process = serve("--interval", "3600", STUDY_FAILPOINT=f"{SHORT_TRAINING}:once")
    asking = {"deployments": {"name": {"any_": ["smoke"]}}}
    failed = run_now(server, {}, **asking)
    wait_for(lambda: flow_run(server, failed)["state_type"] == "RUNNING")
    good = run_now(server, {}, **asking)
    shipped = asked(f"{server}/automations/filter")[0]
    unset = {"id", "created", "updated"}
    again = {name: value for name, value in shipped.items() if name not in unset}
    asked(f"{server}/automations/", **again)  # as `prefect automation create` does
    states = {"FAILED", "COMPLETED", "CANCELLED", "CRASHED"}
    wait_for(lambda: flow_run(server, failed)["state_type"] in states)
    wait_for(lambda: flow_run(server, good)["state_type"] in states)
    assert flow_run(server, failed)["state_type"] == "FAILED"
    assert flow_run(server, good)["state_type"] == "COMPLETED"
    stop(process)

    errors = [one["message"] for one in of_run(server, "logs", failed) if one["level"] == 40]
    assert any(SHORT_TRAINING in line and "failed:" in line for line in errors)
    lines = [one["message"] for one in of_run(server, "logs", good)]
    assert any(f"{SHORT_TRAINING} done" in line for line in lines)
    assert any(f"{SHORT_TRAINING}: epoch 2/2, loss" in line for line in lines)
    assert len(lines) < 30
    (result,) = of_run(server, "artifacts", failed)
    assert result["key"] == "smoke-results"
    assert "## What failed" in result["data"]
    (result,) = of_run(server, "artifacts", good)
    assert "## Verdicts" in result["data"]
    assert "[Report](http" in result["data"]
    tasks = of_run(server, "task_runs", failed)
    assert {one["state_type"] for one in tasks} == {"COMPLETED", "FAILED", "CANCELLED"}
    assert all(one["end_time"] for one in tasks if one["state_type"] == "CANCELLED")
    skipped = {one["state"]["message"] for one in tasks if one["state_name"] == "Skipped"}
    assert f"{SHORT_TRAINING} did not complete" in skipped
    assert {one["name"] for one in tasks} == set(study.latest().tasks)
    assert not any("Traceback" in line for line in errors)
    named = {"any_": [shipped["name"]]}
    assert len(asked(f"{server}/automations/filter", automations={"name": named})) == 1


LONG = "training.epochs=3000"
CLOSED_SECONDS = 5


def of_model_and_study():
    """The status of the MLflow runs of the training and of the study."""
    found = search_everywhere(connect(), f"tags.`{KIND_TAG}` LIKE '%'")
    return {run.data.tags[KIND_TAG]: run.info.status for run in found}


def run_now(server, path, **query):
    """Start a run of the only deployment that the filter finds: its id."""
    filtered = f"{server}/deployments/filter"
    wait_for(lambda: asked(filtered, **query))
    (deployment,) = asked(filtered, **query)
    return asked(f"{server}/deployments/{deployment['id']}/create_flow_run", **path)["id"]


def flow_run(server, identifier):
    return fetched(f"{server}/flow_runs/{identifier}")


def assert_cancelled_in_time(study, server, identifier, signalled):
    """All three records say within five seconds that the run was cancelled."""

    def closed():
        return (
            study.latest().state == "CANCELLED"
            and flow_run(server, identifier)["state_type"] == "CANCELLED"
            and set(of_model_and_study().values()) == {"KILLED"}
        )

    while not closed():
        assert time.monotonic() < signalled + CLOSED_SECONDS, (
            study.latest().state,
            flow_run(server, identifier)["state"],
            of_model_and_study(),
        )
        time.sleep(0.1)


def assert_nothing_is_left(study, server, identifier, processes):
    assert psutil.wait_procs(processes, timeout=15)[1] == []
    tasks = asked(f"{server}/task_runs/filter", flow_runs={"id": {"any_": [identifier]}})
    assert {one["state_type"] for one in tasks} <= {"COMPLETED", "CANCELLED"}
    assert flow_run(server, identifier)["state_type"] == "CANCELLED"  # still
    assert not [one for one in study.latest().tasks.values() if one.outcome == "failed"]
    assert "CANCELLED" in study.run("status").stdout_text


def wait_until_it_trains(study):
    wait_for(lambda: of_model_and_study() == {"study": "RUNNING", "model": "RUNNING"})
    wait_for(lambda: list((study.home / "store" / "checkpoints").glob("*")))


@pytest.mark.parametrize(
    "numbers",
    [[signal.SIGTERM], [signal.SIGINT], [signal.SIGINT, signal.SIGINT], [signal.SIGHUP], []],
    ids=["SIGTERM", "Ctrl-C", "Ctrl-C twice", "terminal closed", "Cancel on Prefect's page"],
)
def test_a_run_that_is_stopped_is_cancelled_in_all_records(study, server, serve, numbers):
    process = serve("--set", LONG, "--interval", "3600")
    identifier = run_now(server, {}, deployments={"name": {"any_": ["smoke"]}})
    wait_until_it_trains(study)
    below = psutil.Process(process.pid).children(recursive=True)
    signalled = time.monotonic()
    if not numbers:
        state = {"type": "CANCELLING", "name": "Cancelling"}
        asked(f"{server}/flow_runs/{identifier}/set_state", state=state, force=True)
    for number in numbers:
        # a terminal signals all processes of its foreground group
        os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
        time.sleep(0.5)
    assert_cancelled_in_time(study, server, identifier, signalled)
    if not numbers:
        stop(process)
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert_nothing_is_left(study, server, identifier, below)


def prefect(study, server, *arguments):
    """Start a command of Prefect, in the folder of the project."""
    return subprocess.Popen(
        [PYTHON, "-m", "prefect", "--no-prompt", *arguments],
        env=study.variables | {"PREFECT_API_URL": server, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    "number",
    [None, signal.SIGTERM, signal.SIGINT],
    ids=["Cancel on Prefect's page", "SIGTERM", "Ctrl-C"],
)
def test_a_run_of_a_worker_that_is_stopped_is_cancelled_in_all_records(study, server, number):
    for command in (
        ["work-pool", "create", "latent-study", "--type", "latent-study", "--overwrite"],
        ["deploy", "--name", "digits"],
    ):
        process = prefect(study, server, *command)
        said = process.communicate(timeout=120)[0]
        assert process.returncode == 0, said
    config = load_config("smoke", ["depths=[2]", LONG]).model_dump(mode="json")
    parameters = {"config": config, "sections": ["depth_sweep"]}
    worker = prefect(study, server, "worker", "start", "--pool", "latent-study")
    try:
        asking = {"deployments": {"name": {"any_": ["digits"]}}}
        identifier = run_now(server, {"parameters": parameters}, **asking)
        wait_until_it_trains(study)
        below = psutil.Process(worker.pid).children(recursive=True)
        signalled = time.monotonic()
        if number is None:
            state = {"type": "CANCELLING", "name": "Cancelling"}
            asked(f"{server}/flow_runs/{identifier}/set_state", state=state, force=True)
        elif number == signal.SIGINT:
            os.killpg(worker.pid, number)  # a terminal signals all processes of its group
        else:
            worker.send_signal(number)
        assert_cancelled_in_time(study, server, identifier, signalled)
        assert_nothing_is_left(study, server, identifier, below)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.communicate()


def test_two_pages_that_start_at_once_in_a_new_home_both_answer(study, tmp_path):
    study.variables.pop("PREFECT_API_URL")
    study.move(tmp_path / "new")
    processes = [study.start("ui") for _ in range(2)]
    try:
        for process in processes:
            lines = [process.stdout.readline() for _ in range(2)]
            assert [line.partition(":")[0] for line in lines] == ["MLflow", "Prefect"], lines
            address = lines[1].split()[1]
            assert asked(f"{address}/api/flow_runs/filter") == []
    finally:
        for process in processes:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
