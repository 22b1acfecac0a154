"""What is changed or asked for again runs again, with what depends on it, and nothing else."""

import re
import shutil
import subprocess
import sys
import time

import pytest

from flows.configuration.load import load_config
from tasks.code.modules import ROOT
from tests.faults.conftest import DONE, executed, kill_group
from tests.servers import asked, fetched

TRAINING = "train[depth=2, latent_dim=2, seed=0]"
STEPS = ("evaluate", "correlate", "package", "encode", "probe", "traverse")
FROZEN = "scenario=head_only, trained=head, label_budget=64, seed=0, depth=2, latent_dim=2"
DEPENDANTS = {f"{step}[depth=2, latent_dim=2, seed=0]" for step in STEPS}
DEPENDANTS |= {f"{step}[{FROZEN}]" for step in ("transfer", "package")}
DEPENDANTS |= {"similarity[digits]", "latent_map[seed=0]"}


def to_run(planned):
    return {name: task["reasons"] for name, task in planned.items() if task["action"] == "run"}


def test_a_failed_task_alone_is_run_again(study, expected):
    failed = study.run("run", "smoke", code=1, STUDY_FAILPOINT=f"{TRAINING}:once")
    others = set(expected) - DEPENDANTS - {TRAINING}
    assert set(executed(failed)) - {"report[smoke]"} == others
    again = study.run("rerun", STUDY_FAILPOINT=f"{TRAINING}:once")
    assert set(executed(again)) == {TRAINING, *DEPENDANTS, "report[smoke]"}
    assert study.fingerprints() == expected
    study.assert_logged_once()


def test_a_forced_task_is_run_again_alone(finished, expected):
    again = finished.run("rerun", "smoke", "--task", TRAINING.replace("depth=2", "depth=?"))
    assert executed(again) == [TRAINING]  # the outcome is the same, so what follows is as well
    assert finished.fingerprints() == expected
    finished.assert_logged_once()
    refused = finished.run("rerun", "--task", "train[depth=9*", code=2)
    assert "no such task" in refused.stderr_text
    assert len(refused.stderr_text.splitlines()) == 1


def test_divergence_fails_one_training_at_once(study):
    wild = ["--set", "training.learning_rate=1e9", "--set", "training.schedule=constant"]
    wild += ["--set", "training.epochs=30", "--set", "latent_dims=[]", "--set", "depths=[3]"]
    process = study.run("run", "smoke", *wild, code=1)
    name = "train[depth=3, latent_dim=5, seed=0]"
    assert re.search(
        rf"{re.escape(name)}: diverged at epoch \d+, learning rate 1e\+09", process.stderr_text
    )
    assert process.stdout_text.count(f"{name} failed") == 1
    assert "train[depth=3, latent_dim=5, seed=0, recipe=as_reported]" in executed(process)
    statuses = {run.data.tags["study.task"]: run.info.status for run in study.runs()}
    assert statuses[name] == "FAILED"
    assert "diverged" in study.plan("smoke", *wild)[name]["reasons"][0]
    assert "diverged" in study.run("status").stdout_text


def edited(folder, path, old, new):
    file = folder / path
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.fixture
def copied(finished, tmp_path):
    """The finished study as seen by a copy of the project that may be edited."""
    folder = tmp_path / "project"
    for package in ("flows", "models", "tasks"):
        shutil.copytree(ROOT / package, folder / package)
    finished.folder = folder
    finished.variables["PYTHONPATH"] = str(folder)
    return finished


def test_an_edit_runs_again_exactly_what_uses_it(copied, expected):
    assert to_run(copied.plan("smoke")) == {}
    edited(copied.folder, "models/training/loop.py", "self.epoch += 1", "self.epoch+=1  # the next")
    edited(copied.folder, "models/networks/written.py", '"""The written', '"""Or the written')
    edited(
        copied.folder, "flows/servers/child_servers.py", "START_SECONDS = 90", "START_SECONDS = 91"
    )
    edited(copied.folder, "tasks/execution/progress.py", "LINES_PER_TASK = 5", "LINES_PER_TASK = 6")
    assert to_run(copied.plan("smoke")) == {}
    copied.run("plan", "smoke", "--check")

    for name in ("pca", "latents"):
        path = f"models/measures/{name}.py"
        edited(copied.folder, path, "\n    return", "\n    pass\n    return")
    planned = to_run(copied.plan("smoke"))
    assert {name.partition("[")[0] for name in planned} >= {"pca", "evaluate", "correlate"}
    assert not any(name.startswith("train[") for name in planned)
    why = planned["pca[digits]"][0]
    assert why.startswith("models/measures/pca.py changed: ")
    assert "fit_pca" in why
    copied.run("plan", "smoke", "--check", code=1)
    before = set(executed(copied.run("run", "smoke")))
    assert {"pca[digits]", "evaluate[depth=2, latent_dim=2, seed=0]"} <= before
    assert not any(name.startswith("train[") for name in before)
    assert copied.fingerprints() == expected


def test_a_changed_setting_runs_again_what_it_decides(finished):
    names = to_run(finished.plan("smoke", "--set", "transfer.label_budgets=[32]"))
    assert {name.partition("[")[0] for name in names} == {"transfer", "package", "report"}
    names = to_run(finished.plan("smoke", "--set", "latent_dims=[2, 3, 5]"))
    assert {n for n in names if n.startswith("train")} == {"train[depth=2, latent_dim=3, seed=0]"}
    assert names["train[depth=2, latent_dim=3, seed=0]"] == ["never run"]
    names = to_run(finished.plan("smoke", "--set", "seeds=[0, 1]"))
    assert all("seed=1" in name for name in names if name.startswith(("train", "transfer")))
    changed = finished.plan("smoke", "--set", "training.epochs=5")[TRAINING]
    assert changed["reasons"] == ["training.epochs 2 -> 5"]
    assert changed["seconds"] > 0


SWEEP = {TRAINING.replace("train", step) for step in ("train", "evaluate", "package")}
SWEEP |= {"report[smoke]"}


def test_prefect_retries_only_what_failed(study, server, expected):
    once = {"STUDY_FAILPOINT": f"{TRAINING}:once"}
    study.run("run", "smoke", "--section", "latent_sweep", code=1, **once)
    command = ["flow-run", "retry", study.latest().flow_run_id]
    retried = subprocess.run(
        [sys.executable, "-m", "prefect", *command, "-e", "flows.study:latent_sweep"],
        env=study.variables | once,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert retried.returncode == 0, retried.stdout + retried.stderr
    assert set(DONE.findall(retried.stdout)) == SWEEP
    assert study.fingerprints().items() <= expected.items()
    study.assert_logged_once()


def test_a_served_run_that_failed_is_retried_from_the_page(study, server, expected):
    serve = "from flows.study import study; study.serve(name='kept', webserver=False)"
    process = subprocess.Popen(
        [sys.executable, "-c", serve],
        env=study.variables | {"STUDY_FAILPOINT": f"{TRAINING}:once"},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deployment = _until(lambda: _find_deployment(server))
        config = load_config("smoke").model_dump(mode="json")
        wanted = {"parameters": {"config": config, "sections": ["latent_sweep"]}}
        run = asked(f"{server}/deployments/{deployment}/create_flow_run", **wanted)
        address = f"{server}/flow_runs/{run['id']}"
        _until(lambda: fetched(address)["state"]["type"] == "FAILED")
        retry = {"type": "SCHEDULED", "name": "AwaitingRetry", "message": "Retry from the UI"}
        asked(f"{address}/set_state", state=retry, force=False)
        _until(lambda: fetched(address)["state"]["type"] == "COMPLETED")
    finally:
        kill_group(process)
    records = study.latest().tasks
    assert {name for name, record in records.items() if record.outcome == "done"} == SWEEP
    assert study.fingerprints().items() <= expected.items()


def _find_deployment(server):
    found = asked(f"{server}/deployments/filter")
    return found[0]["id"] if found else None


def _until(condition, seconds=90):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.5)
    return value
