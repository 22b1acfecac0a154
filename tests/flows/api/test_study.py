"""Studies from Python: loading, planning, and runs in a process of their own."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from flows import Study
from models.specs import ConfigError, SeveralConfigError
from tasks.execution.invocations import RunFailedError, invocations
from tests.conftest import study_runs

TINY = {
    "name": "tiny",
    "latent_dims": [2],
    "depths": [],
    "training": {"epochs": 1},
    "transfer": {"scenarios": []},
    "interpolation": {"pairs": []},
}
SECTIONS = ["latent_sweep"]
# what a study must not change in the process that uses it; printed before and after
STATE = """
import asyncio, gc, json, locale, logging, multiprocessing, os, signal, sys, threading, warnings
import torch, mlflow
from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES

def state():
    loggers = [logging.getLogger(), *(logging.getLogger(n) for n in ("prefect", "mlflow"))]
    return {
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "warnings": [repr(one) for one in warnings.filters],
        "showwarning": repr(warnings.showwarning),
        "logging": [(one.level, repr(one.handlers), one.disabled) for one in loggers],
        "raise": logging.raiseExceptions,
        "signals": [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)],
        "matmul": torch.get_float32_matmul_precision(),
        "mkldnn": torch.backends.mkldnn.enabled,
        "threads": torch.get_num_threads(),
        "default type": str(torch.get_default_dtype()),
        "random": torch.initial_seed(),
        "tracking": mlflow.get_tracking_uri(),
        "retries": MLFLOW_HTTP_REQUEST_MAX_RETRIES.get(),
        "gc": (gc.isenabled(), gc.get_freeze_count()),
        "start": multiprocessing.get_start_method(allow_none=True),
        "path": list(sys.path),
        "hook": repr(sys.excepthook),
        "children": multiprocessing.active_children(),
        "running": threading.active_count(),
    }
"""


def python(code, environment, **variables):
    """Run a script that has no main guard."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_the_package_loads_no_engine():
    check = "import sys, flows; assert not {'prefect', 'mlflow', 'torch'} & set(sys.modules)"
    study = "from flows import Study; Study.load('smoke', {'training.epochs': 3}).plan()"
    unloaded = "assert not {'prefect', 'mlflow', 'torch', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", f"{check}; {study}; {unloaded}"], check=True)


def test_a_study_is_loaded_by_name_file_or_mapping(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("latent_dims: [3]\n")
    assert Study.load().name == "digits"
    assert Study.load("smoke", {"training.epochs": 7}).config.training.epochs == 7
    assert Study.load(path, {"seeds": (1, 2)}).config.seeds == (1, 2)
    assert Study.load(path).name == "mine"
    assert Study.load(TINY, {"dataset": {"path": tmp_path, "name": "folder"}}).config.dataset.path
    assert TINY["latent_dims"] == [2], "the mapping is left as it is"


@pytest.mark.parametrize(
    ("study", "overrides", "error", "words"),
    [
        ("mnits", {}, ConfigError, "did you mean 'mnist'"),
        ("smoke", {"training.epoch": 1}, ConfigError, "did you mean 'epochs'"),
        ("smoke", {"seeds": 1, "depths": [9]}, SeveralConfigError, "seeds: 1 is not allowed"),
        ("smoke", {"latent_dims.x": 1}, ConfigError, "'latent_dims' holds a value"),
        ("smoke", {"seeds": object()}, ConfigError, "numbers, texts, lists and mappings"),
        ({"latent_dims": [1]}, {}, ConfigError, "name is missing"),
        ({"name": "digits"}, {}, ConfigError, "is a shipped study"),
        ({"name": "x", 1: 2}, {}, ConfigError, "'1': unknown key"),
    ],
)
def test_mistakes_have_the_texts_of_the_command(study, overrides, error, words):
    with pytest.raises(error, match=words):
        Study.load(study, overrides)


def test_a_mapping_changes_what_it_holds():
    kept = Study.load({**TINY, "training": {"epochs": 9}}, {"training": {"batch_size": 16}})
    assert (kept.config.training.epochs, kept.config.training.batch_size) == (9, 16)
    both = {"a": {"encoder": "conv", "decoder": "conv"}}
    other = {"b": {"encoder": "mlp", "decoder": "mlp"}}
    study = Study.load({**TINY, "architectures": both}, {"architectures": other})
    assert list(study.config.architectures) == ["b"]


def test_unknown_sections_and_tasks_are_refused():
    with pytest.raises(ConfigError, match="section 'depth'"):
        Study.load("smoke").plan(["depth"])
    with pytest.raises(ConfigError, match="none is given"):
        Study.load("smoke").plan([])
    with pytest.raises(ConfigError, match="no such task in this study"):
        Study.load("smoke").run(force=["train[x]"])


@pytest.mark.slow
def test_a_run_has_tables_models_and_a_page(monkeypatch, environment):
    monkeypatch.setattr(os, "environ", environment)
    study = Study.load(TINY)
    result = study.run(SECTIONS)
    assert (result.state, result.study) == ("COMPLETED", "tiny")
    assert list(result.models.latent_dim) == [2]
    assert result.report.read_text().count("tiny")
    assert {"name", "claim", "outcome", "low"} <= set(result.verdicts.columns)
    assert "latent-curves" in result.pictures
    assert "image/svg+xml" in result.pictures["latent-curves"]._repr_mimebundle_()
    assert [run.info.run_id for run in study_runs("tiny")] == [result.mlflow_run_id]

    model = result.autoencoder(latent_dim=2, seed=0)
    found = model.latents("test")
    images = model.images("test")
    assert found.latents.shape == (len(images), 2)
    assert set(found.labels) <= set(range(len(found.classes)))
    loss = np.mean((model.reconstruct(images) - images / 255) ** 2)
    assert loss == pytest.approx(result.models.final_test_loss[0], rel=1e-5)
    np.testing.assert_array_equal(model.decode(found.latents), model.reconstruct(images))
    with pytest.raises(LookupError, match=r"no autoencoder with .*latent_dim=3.*latent_dim=2"):
        result.autoencoder(latent_dim=3)

    again = study.run(SECTIONS, force=["train*"])  # in the store, and computed again
    assert set(again.tasks.outcome) == {"done", "cached"}
    assert [one.run for one in study.results()] == [again.run, result.run]
    old = study.results()[1]
    assert old.report != again.report  # each run has its own page
    assert old.run in old.report.parts
    assert len(study.plan(SECTIONS).to_run) == 0


@pytest.mark.slow
def test_a_failed_task_raises_and_what_is_finished_is_kept(monkeypatch, environment, capfd):
    # a notebook's kernel asks for colours, although what is printed goes to no terminal
    failing = {"STUDY_FAILPOINT": "evaluate[depth=2, latent_dim=2, seed=7]", "FORCE_COLOR": "1"}
    monkeypatch.setattr(os, "environ", environment | failing)
    with pytest.raises(RunFailedError, match=r"1 of \d+ failed: evaluate") as raised:
        Study.load({**TINY, "name": "failing", "seeds": [7]}).run(SECTIONS)
    result = raised.value.result
    assert result.state == "FAILED"
    assert len(result.models) == 1
    said = capfd.readouterr().out
    assert "evaluate[depth=2, latent_dim=2, seed=7] failed" in said
    assert "\x1b" not in said


NETWORK = """
from torch import nn

def encoder(image_shape, outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, outputs))

def decoder(image_shape, latent_dim):
    return nn.Sequential(nn.Linear(latent_dim, 784), nn.Unflatten(1, (1, 28, 28)))
"""


@pytest.mark.slow
def test_own_networks_run_and_are_built_from_their_file(monkeypatch, environment, tmp_path):
    monkeypatch.setattr(os, "environ", environment)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets.py").write_text(NETWORK)
    own = {"linear": {"encoder": "nets.py:encoder", "decoder": "nets.py:decoder"}}
    Study.load({**TINY, "name": "own", "architectures": own}).run(SECTIONS, quiet=True)
    # as in another process, which has read nothing yet
    monkeypatch.setattr("tasks.own_code.registry.OWN_CODES.codes", {})
    (result,) = Study.load({**TINY, "name": "own"}).results()
    (tmp_path / "nets.py").write_text(f"# a comment\n{NETWORK}")
    assert result.autoencoder().latents().latents.shape[1] == 2
    monkeypatch.setattr("tasks.own_code.registry.OWN_CODES.codes", {})
    (tmp_path / "nets.py").write_text(NETWORK.replace("nn.Flatten()", "nn.Flatten(), nn.Tanh()"))
    with pytest.raises(ConfigError, match=r"nets\.py"):
        result.autoencoder()


@pytest.mark.slow
def test_errors_of_a_run_are_exceptions(monkeypatch, environment):
    monkeypatch.setattr(os, "environ", environment | {"PREFECT_API_URL": "http://127.0.0.1:9/api"})
    with pytest.raises(ConfigError, match=r"Prefect: .*start that server, or unset"):
        Study.load(TINY).run(SECTIONS, quiet=True)


@pytest.mark.slow
def test_nothing_of_the_host_changes(environment):
    """Below a running event loop, without a main guard, two studies at once."""
    found = python(
        f"""
        {textwrap.indent(STATE, " " * 8).strip()}
        from flows import Study

        async def main():
            studies = [Study.load({TINY!r} | {{"name": name}}) for name in ("one", "two")]
            before = state()
            studies[0].plan()
            both = [asyncio.to_thread(one.run, {SECTIONS}, quiet=True) for one in studies]
            await asyncio.gather(*both)
            result = studies[0].run({SECTIONS}, quiet=True)
            result.models, result.verdicts, result.autoencoder(latent_dim=2).latents()
            after = state()
            after["running"] = before["running"]  # the threads of the event loop
            for name in before:
                assert before[name] == after[name], (name, before[name], after[name])
            assert result.tasks.outcome.isin(["cached"]).sum() > 3
            print("unchanged")

        asyncio.run(main())
        """,
        environment,
    )
    assert found.stdout.splitlines()[-1:] == ["unchanged"], found.stderr


@pytest.mark.slow
def test_an_interrupt_ends_the_run_and_the_next_one_continues(monkeypatch, environment):
    monkeypatch.setattr(os, "environ", environment)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job may ignore it
    study = Study.load({**TINY, "name": "stopped", "training": {"epochs": 5000}})

    def interrupt():
        while not any(one.tasks for one in invocations("stopped")):
            time.sleep(0.1)
        time.sleep(2)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        study.run(SECTIONS)
    thread.join()
    signal.signal(signal.SIGINT, before)
    assert study.results()[0].state == "CANCELLED"


@pytest.mark.slow
def test_a_run_ends_with_the_process_that_started_it(environment, monkeypatch):
    monkeypatch.setenv("STUDY_HOME", environment["STUDY_HOME"])
    long = {**TINY, "name": "orphan", "training": {"epochs": 5000}}
    code = f"from flows import Study; Study.load({long!r}).run({SECTIONS})"
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as host:
        while not any(one.tasks for one in invocations("orphan")):
            time.sleep(0.1)
        host.kill()
    for _ in range(100):
        if next(invocations("orphan")).state != "RUNNING":
            break
        time.sleep(0.1)
    assert next(invocations("orphan")).state == "CANCELLED"
