"""Runs that stand alone: parts of a study, own images, mistakes, interruptions, stacks."""

import html
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tasks.code.modules import ROOT
from tasks.system.folders import report_path
from tasks.tracking.client import connect
from tests.conftest import COMMAND, SMOKE_TASKS, executed, model_runs, study_runs


@pytest.mark.slow
def test_theory_alone_needs_no_data(study):
    result = study("run", "mnist", "--section", "theory", STUDY_DATA="/nonexistent")
    assert result.returncode == 0, result.stderr
    page = html.unescape(report_path("mnist").read_text())
    assert "taylor remainder order" in page
    assert page.count("holds</span></td>") == 25
    assert ">fails</td>" not in page


@pytest.fixture
def own_images(study, tmp_path):
    """Runs a small study of 40 random images, in one folder or in one for each class."""

    def run(classes):
        noise = np.random.default_rng(0)
        for index in range(40):
            folder = tmp_path / "images" / classes[index % len(classes)]
            folder.mkdir(parents=True, exist_ok=True)
            pixels = noise.integers(0, 256, (20, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{index:02d}.png")
        dataset = {"name": "folder", "path": str(tmp_path / "images"), "shape": "pad"}
        own = {"name": "own", "dataset": dataset, "training": {"epochs": 1}}
        own |= {"latent_dims": [2], "depths": [1], "depth_latent_dim": 2}
        own |= {"interpolation": {"latent_dims": [2]}}
        own |= {"transfer": {"scenarios": ["head_only"], "label_budgets": ["all"], "epochs": 1}}
        file = tmp_path / "own.yaml"
        file.write_text(json.dumps(own))
        result = study("run", str(file))
        assert result.returncode == 0, result.stderr
        assert f"{len(classes)} class" in result.stdout or "note: no labels" in result.stdout
        return {name.partition("[")[0] for name in executed(result)}

    return run


UNLABELLED = {"data", "train", "pca", "reach", "package", "evaluate", "correlate", "report"}
UNLABELLED |= {"encode", "probe", "traverse", "similarity", "latent_map"}


@pytest.mark.slow
def test_images_in_folders_run_all_that_labels_allow(own_images):
    labelled = {"transfer", "interpolate", "interpolation_grid", "realism", "probe_controls"}
    assert own_images(["crosses", "noughts"]) - {"theory"} == UNLABELLED | labelled
    page = html.unescape(report_path("own").read_text())
    assert "left out" not in page
    assert "in 2 classes (crosses, noughts)" in page
    walks = pd.read_csv(report_path("own").with_name("interpolation.csv"))
    assert walks[["latent_dim", "seed"]].to_numpy().tolist() == [[2, 0]]
    assert walks.kid.notna().all()
    (walk,) = model_runs("interpolation")
    assert (walk.data.params["from"], walk.data.params["to"]) == ("crosses", "noughts")
    transfer, *_ = model_runs("transfer")
    confusion = pd.read_csv(connect().download_artifacts(transfer.info.run_id, "confusion.csv"))
    assert confusion.columns.tolist()[1:] == ["crosses", "noughts"]
    profile = json.loads(transfer.inputs.dataset_inputs[0].dataset.profile)
    assert profile["classes"] == ["crosses", "noughts"]


@pytest.mark.slow
def test_images_without_labels_run_all_that_needs_none(own_images):
    assert own_images([""]) - {"theory"} == UNLABELLED
    page = html.unescape(report_path("own").read_text())
    assert "Section interpolation is left out: the dataset has no labels." in page
    assert "reported" not in page.partition("Verdicts")[2].partition("Latent size")[2][:2_000]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "mnits"], "no study named 'mnits'"),
        (["run", "smoke", "--set", "training.epochs=0"], "greater than or equal to 1"),
        (["run", "smoke", "--section", "sweep"], "choose from latent_sweep"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(study, arguments, words):
    result = study(*arguments)
    assert result.returncode == 2
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_ctrl_c_ends_with_130_and_the_next_run_goes_on(study, environment):
    longer = ["run", "smoke", "--set", "training.epochs=300", "--section", "latent_sweep"]
    process = subprocess.Popen(
        [*COMMAND, *longer],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if ": epoch " in line:
            break
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    _, errors = process.communicate(timeout=30)
    assert time.monotonic() - started < 5
    assert process.returncode == 130
    assert len(errors.strip().splitlines()) == 1
    assert "interrupted" in errors
    assert study_runs("smoke")[0].info.status == "KILLED"
    assert "RUNNING" not in {run.info.status for run in model_runs()}


@pytest.mark.slow
def test_divergence_fails_that_training_alone(study):
    result = study(
        "run",
        "smoke",
        *("--section", "depth_sweep", "--set", "training.epochs=40"),
        *("--set", "training.learning_rate=1e9", "--set", "training.schedule=constant"),
        *("--set", "depths=[3]"),
    )
    assert result.returncode == 1
    assert re.search(r"diverged at epoch \d+, learning rate 1e\+09", result.stderr)


def test_without_network_the_error_says_where_to_put_which_files(study, tmp_path):
    result = study(
        *("run", "smoke", "--set", "dataset.name=kmnist"),
        STUDY_DATA=str(tmp_path),
        STUDY_MIRROR="http://127.0.0.1:9",
        http_proxy="http://127.0.0.1:9",
        https_proxy="http://127.0.0.1:9",
        no_proxy="127.0.0.1",
    )
    assert result.returncode == 1
    line = result.stderr.strip()
    assert "\n" not in line
    assert "put train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images" in line
    assert f"into {tmp_path}/KMNIST/raw" in line
    assert "study run digits" in line


def test_a_folder_without_images_is_one_line(study, tmp_path):
    chosen = ("--set", "dataset.name=folder", "--set", f"dataset.path={tmp_path}")
    before = len(study_runs("smoke"))
    result = study("run", "smoke", *chosen)
    assert result.returncode == 2
    assert result.stderr.startswith("study: dataset.path: no images in ")
    assert len(result.stderr.splitlines()) == 1
    assert len(study_runs("smoke")) == before  # it is refused before anything is computed


@pytest.mark.slow
def test_a_stack_gives_what_its_models_give_alone(study, tmp_path, monkeypatch):
    losses = {}
    for size in (1, 2):
        home = tmp_path / str(size)
        options = ["depths=[2]", "seeds=[0,1]", f"runner.stack={size}"]
        changes = [part for option in options for part in ("--set", option)]
        result = study("run", "smoke", "--section", "depth_sweep", *changes, STUDY_HOME=str(home))
        assert result.returncode == 0, result.stderr
        assert sum(name.startswith("train[") for name in executed(result)) == 4
        models = pd.read_csv(home / "reports" / "smoke" / "models.csv")
        losses[size] = models.set_index("seed").final_test_loss.to_dict()
    assert losses[2] == pytest.approx(losses[1], rel=1e-4)
    monkeypatch.setenv("STUDY_HOME", str(tmp_path / "2"))
    assert [run.info.status for run in model_runs()] == ["FINISHED"] * 4
    assert {len(epochs_of(run)) for run in model_runs()} == {2}


def epochs_of(run):
    return connect().get_metric_history(run.info.run_id, "test_loss")


SPAWNING = """
from flows.commands.main import main
from tasks.execution import worker_processes

if __name__ == "__main__":
    worker_processes.START_METHOD = "spawn"
    main()
"""


@pytest.mark.slow
def test_a_whole_study_runs_in_spawned_processes_as_on_macos(home, tmp_path):
    program = tmp_path / "spawning.py"
    program.write_text(SPAWNING)
    arguments = [sys.executable, program, "run", "smoke", "--set", "runner.width=2"]
    result = subprocess.run(
        arguments,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert re.search(f"{SMOKE_TASKS} done", result.stdout)
    assert result.stderr == ""
