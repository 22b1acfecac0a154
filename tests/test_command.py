"""One study through its life, by the command that users type, with real engines."""

import html
import json
import re
import shutil
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from flows.configuration.study_config import SECTIONS
from tasks.artifacts.autoencoder import load_autoencoder
from tasks.cache import store
from tasks.system.folders import report_path
from tasks.tracking.client import connect
from tests.conftest import COMMAND, SMOKE_TASKS, executed, model_runs, study_runs
from tests.servers import end, free_port, start

TRAIN = "train[depth=2, latent_dim=2, seed=0]"


def test_a_failed_training_fails_only_what_depends_on_it(study):
    result = study("run", "smoke", STUDY_FAILPOINT=f"{TRAIN}:once")
    assert result.returncode == 1
    assert f"{TRAIN}: FailpointError" in result.stderr
    assert f"1 of {SMOKE_TASKS} failed" in result.stderr
    assert "10 tasks that depend on them did not run" in result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert "evaluate[depth=1, latent_dim=5, seed=0]" in executed(result)
    assert f"{TRAIN}: FailpointError" in html.unescape(report_path("smoke").read_text())
    assert study_runs("smoke")[0].info.status == "FAILED"


def test_the_same_command_runs_only_what_is_missing(study):
    result = study("run", "smoke")
    assert result.returncode == 0, result.stderr
    names = {name.partition("[")[0] for name in executed(result)}
    after = {"evaluate", "correlate", "package", "transfer", "report"}
    after |= {"encode", "probe", "traverse", "similarity", "latent_map"}
    assert names == {"train"} | after
    assert executed(result)[0] == TRAIN
    assert result.stderr == ""


def test_an_unchanged_study_executes_nothing(study):
    before = {run.info.run_id for run in model_runs()}
    result = study("run", "smoke")
    assert result.returncode == 0, result.stderr
    assert executed(result) == []
    assert f"{SMOKE_TASKS} cached" in result.stdout
    assert {run.info.run_id for run in model_runs()} == before
    assert len(study_runs("smoke")) == 3


def test_a_plan_of_a_finished_study_is_all_cached(study):
    result = study("plan", "smoke", "--check")
    assert result.returncode == 0, result.stderr
    assert f"{SMOKE_TASKS} cached, 0 to run" in result.stdout
    more = study("plan", "smoke", "--check", "--json", "--set", "latent_dims=[2, 3, 5]")
    assert more.returncode == 1
    tasks = {task["name"]: task for task in json.loads(more.stdout)["tasks"]}
    added = tasks["train[depth=2, latent_dim=3, seed=0]"]
    assert (added["action"], added["reasons"]) == ("run", ["never run"])
    assert added["seconds"] > 0
    trained = [t for n, t in tasks.items() if n.startswith("train") and t["action"] == "run"]
    assert trained == [added]


def test_mlflow_holds_one_complete_run_per_model(study):
    runs = model_runs()
    assert len(runs) == 7  # four of the sweeps, and three depths trained as reported
    swept = [run for run in runs if run.data.params["schedule"] != "constant"]
    assert len(swept) == 4
    client = connect()
    for run in runs:
        assert run.info.status == "FINISHED"
        assert run.data.params["dataset"] == "digits"
        assert {"depth", "latent_dim", "seed", "n_parameters", "dataset_sha256"} <= set(
            run.data.params
        )
        assert {"epochs", "batch_size", "optimizer", "learning_rate"} <= set(run.data.params)
        assert "final_test_loss" in run.data.metrics
        for name in ("train_loss", "test_loss"):
            history = client.get_metric_history(run.info.run_id, name)
            assert [metric.step for metric in history] == [1, 2]
        files = {file.path for file in client.list_artifacts(run.info.run_id)}
        assert {"weights.safetensors", "spec.json", "images"} <= files
        assert run.data.metrics["latent_dim"] == int(run.data.params["latent_dim"])
        assert run.data.tags["mlflow.note.content"].startswith("**Test MSE 0.")
        assert run.inputs.dataset_inputs[0].dataset.name == "digits"
    for run in swept:  # the others are trained for their learning curves and for classifiers
        assert {"dead_units", "pca_test_loss", "reachable_test_loss"} <= set(run.data.metrics)
        files = {file.path for file in client.list_artifacts(run.info.run_id)}
        assert "reconstructions.png" in files
        models = [client.get_logged_model(one.model_id) for one in run.outputs.model_outputs]
        assert {model.name for model in models} == {"encoder", "decoder", "autoencoder"}
    parent = study_runs("smoke")[0]
    files = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert {"index.html", "models.json", "models.csv", "transfer.csv", "rate.svg"} <= files
    assert parent.data.tags["verdict.deeper_fewer_parameters"] == "refuted"
    assert parent.data.metrics["verdict/deeper_fewer_parameters/every_step/change"] > 100


def test_the_report_is_one_complete_page(study):
    page = report_path("smoke").read_text()
    for section in SECTIONS:  # smoke lists no objectives
        assert (f'<h2 id="{section}">' in page) == (section != "objective_sweep")
    assert page.count("<img") >= 15
    assert 'class="missing"' not in page
    assert not re.search(r'src="(?!data:)', page)
    links = set(re.findall(r'href="(?!#|data:)([^"]+)"', page))
    linked = {link.rpartition("/")[2] for link in links}
    assert len(linked & {run.info.run_id for run in model_runs()}) == 4  # all but as_reported
    assert all(link.startswith("http://127.0.0.1:5000/#/experiments/") for link in links)
    assert study("report", "smoke").stdout.strip().endswith("reports/smoke/index.html")


def test_an_exported_run_is_plain_files(study, tmp_path):
    result = study("export", TRAIN, "--to", str(tmp_path / "out"))
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    names = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    assert {"weights.safetensors", "spec.json", "run.json", "figures/latent-map.png"} <= names
    text = pd.read_csv(tmp_path / "out" / "metrics.csv")
    binary = pd.read_parquet(tmp_path / "out" / "metrics.parquet")
    assert text[["metric", "step", "value"]].equals(binary[["metric", "step", "value"]])
    assert text.query("metric == 'test_loss'").step.tolist() == [1, 2]
    missing = study("export", "train[nothing]", "--to", str(tmp_path / "none"))
    assert missing.returncode == 2
    assert "no run has the id or the name 'train[nothing]'" in missing.stderr


def test_two_runs_are_compared_on_a_page(study):
    shown = study("status", "smoke").stdout
    oldest = re.findall(r"\d{8}-\d{6}", shown)[-1]
    result = study("report", "--compare", oldest, "smoke")
    assert result.returncode == 0, result.stderr
    page = html.unescape(Path(result.stdout.strip()).read_text())
    assert "Settings that differ" in page
    assert "+0" in page
    wrong = study("report", "--compare", "smoke", "nothing")
    assert wrong.returncode == 2
    assert "'nothing': no study or run has this name" in wrong.stderr


@pytest.mark.slow
def test_a_registered_encoder_is_served_and_gives_the_same_latents(study, environment, tmp_path):
    result = study("register", "smoke")
    assert result.returncode == 0, result.stderr
    assert "models:/latent-study-smoke-encoder@d5" in result.stdout
    again = study("register", "smoke")
    assert again.stdout == result.stdout
    images = np.random.default_rng(0).random((3, 1, 28, 28), dtype=np.float32)
    command = "import json, sys, numpy; from tasks.registry.load import load_model; "
    command += "model = load_model('latent-study-smoke-encoder@d5'); "
    command += "print(json.dumps(model.predict(numpy.load(sys.argv[1])).tolist()))"
    np.save(tmp_path / "images.npy", images)
    arguments = [sys.executable, "-c", command, str(tmp_path / "images.npy")]
    loaded = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True)
    latents = np.array(json.loads(loaded.stdout))
    assert latents == pytest.approx(in_process_latents(images), abs=1e-5)
    with served(environment, "latent-study-smoke-encoder@d5") as address:
        body = json.dumps({"inputs": images.tolist()}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{address}/invocations", body, headers)
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)["predictions"]
    assert (np.array(answer) == latents).all()


def in_process_latents(images):
    """What the best encoder of latent size 5 makes of images, from its weights."""
    runs = [run for run in model_runs() if run.data.params["latent_dim"] == "5"]
    best = min(runs, key=lambda run: run.data.metrics["final_test_loss"])
    encoder = load_autoencoder(store.load("train", best.data.tags["study.key"])).encoder
    with torch.no_grad():
        return encoder(torch.from_numpy(images)).numpy()


@contextmanager
def served(environment, model):
    """A model behind ``study serve-model``; its address."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [*COMMAND, "serve-model", model, "--port", str(port)]
    process = start(command, f"{address}/ping", environment)
    try:
        yield address
    finally:
        end(process)


def test_a_section_runs_by_itself_on_what_is_trained(study):
    result = study("run", "smoke", "--section", "depth_sweep")
    assert result.returncode == 0, result.stderr
    assert {name.partition("[")[0] for name in executed(result)} == {"report"}


def test_status_lists_every_invocation(study):
    result = study("status")
    assert result.stdout.count("smoke") == 4
    assert "FAILED" in result.stdout
    unknown = study("status", "nope")
    assert unknown.returncode == 2
    assert unknown.stderr.startswith("study: no study 'nope'")


@pytest.mark.slow
def test_a_moved_store_fills_a_new_database_without_training(
    study, environment, tmp_path, monkeypatch
):
    moved = tmp_path / "elsewhere"
    lost = shutil.ignore_patterns("mlflow.db*", "mlartifacts")
    shutil.copytree(environment["STUDY_HOME"], moved, ignore=lost)
    monkeypatch.setenv("STUDY_HOME", str(moved))
    result = study("run", "smoke", STUDY_HOME=str(moved))
    assert result.returncode == 0, result.stderr
    assert "epoch" not in result.stdout
    assert len(model_runs()) == 7
    assert sum("dead_units" in run.data.metrics for run in model_runs()) == 4


@pytest.mark.slow
def test_gc_removes_what_only_older_invocations_used_and_its_runs(study):
    chosen = ["--section", "latent_sweep", "--set", "latent_dims=[3]"]
    assert study("run", "smoke", *chosen).returncode == 0
    before = len(model_runs())
    assert study("run", "smoke").returncode == 0
    shown = study("gc", "--keep", "1")
    assert "delete it with --yes" in shown.stdout
    deleted = study("gc", "--keep", "1", "--yes", "--runs")
    assert "1 MLflow runs deleted" in deleted.stdout
    assert len(model_runs()) == before - 1
    assert study("plan", "smoke", "--check").returncode == 0
    assert study("plan", "smoke", "--check", *chosen).returncode == 1
    assert "0.0 MB not used" in study("gc", "--keep", "1").stdout
