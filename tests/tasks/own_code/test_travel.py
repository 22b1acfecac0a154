"""A user's networks are trained in worker processes, and on a Dask cluster, from their texts."""

import os
import shutil
import warnings
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from models.networks.autoencoder import Autoencoder
from models.specs import Architecture, ConfigError, ModelSpec, ObjectiveSpec, TrainingRecipe
from tasks.artifacts.autoencoder import WEIGHTS, load_autoencoder
from tasks.artifacts.dataset import load_dataset
from tasks.cache import signatures
from tasks.cache.step import Step
from tasks.code.code_digest import code_parts
from tasks.datasets.config import DatasetConfig
from tasks.datasets.contents import source_fingerprint
from tasks.execution.dask_task import DaskContext
from tasks.execution.exact_code import CodeChangedError, compute_exactly
from tasks.execution.perform import perform
from tasks.execution.session import task_session
from tasks.execution.worker_processes import WorkerProcesses
from tasks.execution.workers import WorkerDiedError
from tasks.own_code.digest import code_sha256
from tasks.own_code.read import read_source
from tasks.own_code.registry import OWN_CODES, texts_of
from tasks.steps.data import data
from tasks.steps.train import train
from tasks.system.folders import folder_variables
from tasks.system.polling import wait_until
from tests.tasks.execution.sessions import SameThreadWorkers, recorded_session

USER = Path(__file__).parent / "user"
CONFIG = DatasetConfig(name="digits", train_limit=200, test_limit=60)
RECIPE = TrainingRecipe(epochs=2, batch_size=32, latent_bias=None)


@pytest.fixture
def folder(tmp_path):
    """A copy of a user's files, for a test to edit."""
    return shutil.copytree(USER, tmp_path / "user")


@pytest.fixture
def workers():
    found = WorkerProcesses(1, 1, "cpu")
    yield found
    found.stop()


def measure_loss(folder, dataset, model):
    loss = mean_loss(load_autoencoder(model), dataset)
    return {"loss": loss}


def mean_loss(autoencoder, dataset):
    images = load_dataset(dataset).test_images / 255
    with torch.no_grad():
        return float((autoencoder.eval()(images) - images).square().mean())


measure = Step(measure_loss, "measure")


def read(folder):
    """The user's codes by digest, and the autoencoder that they make."""
    both = [read_source(f"skip.py:{part}", folder) for part in ("encoder", "decoder")]
    codes = {code_sha256(own): own for own in both}
    encoder, decoder = codes
    shape = Architecture(encoder=encoder, decoder=decoder, options={"width": 4})
    return codes, ModelSpec(architecture=shape, latent_dim=3)


def own_session(workers, codes, **options):
    session = recorded_session(workers, **options)
    session.own_codes = codes
    return session


def dataset_entry():
    with task_session(recorded_session(SameThreadWorkers())):
        inputs = {"config": CONFIG, "source": source_fingerprint(CONFIG)}
        return perform(data, {"dataset": "digits"}, inputs)[0]


def trained(session, dataset, spec):
    with task_session(session):
        inputs = {"dataset": dataset, "spec": spec, "recipe": RECIPE}
        inputs["objective"] = ObjectiveSpec()
        return perform(train, {"subject": "x"}, inputs)[0]


def test_a_users_networks_are_trained_and_measured_in_worker_processes(folder, workers):
    codes, spec = read(folder)
    dataset = dataset_entry()
    session = own_session(workers, codes)
    entry = trained(session, dataset, spec)
    first, last = entry.result["history"][0], entry.result["history"][-1]
    assert last["test_loss"] < first["test_loss"] < entry.result["metrics"]["initial_test_loss"]
    assert entry.own_code.keys() == codes.keys()
    assert "skip.py:encoder" in entry.own_code[spec.architecture.encoder]
    assert "parts/heads.py:Head" in entry.own_code[spec.architecture.decoder]
    with task_session(session):
        found = perform(measure, {"subject": "x"}, {"dataset": dataset, "model": entry})[0]
    assert found.own_code.keys() == codes.keys()  # by the entry of the model
    OWN_CODES.install(codes.values())
    OWN_CODES.register_builders()
    model = Autoencoder(spec, (1, 28, 28))
    model.load_state_dict(load_file(entry.path(WEIGHTS)))
    assert abs(mean_loss(model, dataset) - last["test_loss"]) < 1e-6
    assert abs(found.result["loss"] - last["test_loss"]) < 1e-6
    again = trained(own_session(workers, codes, forced={"train[x]"}), dataset, spec)
    assert again.files[WEIGHTS] == entry.files[WEIGHTS]


def test_an_edit_during_a_run_is_refused_where_it_is_used(folder, workers):
    codes, spec = read(folder)
    dataset = dataset_entry()
    session = own_session(workers, codes)
    blocks = folder / "blocks.py"
    blocks.write_text("# a comment\n" + blocks.read_text() + "\n\ndef unused():\n    pass\n")
    trained(session, dataset, spec)
    session.forced.add("train[x]")
    blocks.write_text(blocks.read_text().replace("x + self", "x - self"))
    with pytest.raises(
        CodeChangedError, match=r"^blocks\.py changed: Skip while the study was run"
    ):
        trained(session, dataset, spec)
    blocks.write_text("class Skip(\n")
    with pytest.raises(CodeChangedError, match=r"skip.py changed \(.*blocks.py, line 1: not Pyth"):
        trained(session, dataset, spec)
    with task_session(session):  # what does not use it is computed
        other = {"config": CONFIG.model_copy(update={"train_limit": 50})}
        perform(data, {"dataset": "x"}, other | {"source": source_fingerprint(CONFIG)})


def test_a_worker_runs_only_what_the_invocation_sent(folder, workers):
    _, spec = read(folder)
    dataset = dataset_entry()
    with pytest.raises(ConfigError, match=r"the code sha256:.* is not part of this run"):
        trained(own_session(workers, {}), dataset, spec)


def test_a_worker_with_other_versions_computes_nothing(folder):
    codes, spec = read(folder)
    texts = texts_of(codes)
    digest = "sha256:" + "0" * 64
    parts = texts[spec.architecture.encoder]["parts"] | {"installed:torch": "torch 1.0"}
    texts = {digest: texts[spec.architecture.encoder] | {"parts": parts}}
    with pytest.raises(
        CodeChangedError, match=r"other code than the study \(torch 1\.0 -> torch 2"
    ):
        compute_exactly(os.getpid, {}, {}, texts)


STATE = "from torch import nn\nMADE = []\ndef encoder(s, n):\n    MADE.append(1)\n    return MADE\n"


def count_made(digest):
    return len(OWN_CODES.find(digest)(1, 2))


def test_each_computation_starts_without_the_state_of_earlier_ones(tmp_path, workers):
    (tmp_path / "nets.py").write_text(STATE)
    own = read_source("nets.py:encoder", tmp_path)
    code = code_parts(count_made.__module__, count_made.__name__)
    call = {"compute": count_made, "code": code, "arguments": {"digest": code_sha256(own)}}
    call["own_code"] = texts_of({code_sha256(own): own})
    assert [workers.run(compute_exactly, call) for _ in range(2)] == [1, 1]


# On a Dask worker


def context_of(name, codes):
    folders = folder_variables()
    signature = signatures.sign(name)
    return DaskContext(name, signature, folders, frozenset(), 1, "cpu", texts_of(codes))


def train_on_worker(context, dataset, spec):
    with context.session(train, train.code):
        inputs = {"dataset": dataset, "spec": spec, "recipe": RECIPE}
        inputs["objective"] = ObjectiveSpec()
        return perform(train, {"subject": "x"}, inputs)[0], os.getpid()


def forget_home():
    """So that the worker takes the folders of the invocation."""
    os.environ.pop("STUDY_HOME", None)


@pytest.fixture(scope="module")
def daemon_client():
    """A client of a cluster whose worker is the child of a nanny, a daemon, as it is by default."""
    from distributed import Client, LocalCluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with (
            LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            client.run(forget_home)
            yield client


@pytest.mark.slow
def test_on_dask_a_users_networks_are_trained_in_a_child_process(folder, daemon_client):
    codes, spec = read(folder)
    dataset = dataset_entry()
    context = context_of("trained", codes)
    shutil.rmtree(folder)  # another machine has no such files
    future = daemon_client.submit(train_on_worker, context, dataset, spec, pure=False)
    entry, _ = future.result(timeout=120)
    assert entry.result["history"][-1]["epoch"] == 2
    assert entry.own_code.keys() == codes.keys()
    messages = [message for _, message in daemon_client.get_events("trained")]
    assert [m["do"] for m in messages].count("log_epoch") == 2


def warned(client, topic):
    """What tasks on the cluster have warned their invocation of."""
    messages = [message for _, message in client.get_events(topic)]
    return [list(message["arguments"]) for message in messages if message["do"] == "warn"]


HOSTILE = """
import os, sys, time, warnings
from torch import nn
def encoder(image_shape, outputs, how="exit"):
    warnings.warn("from a user's file")
    if how == "exit":
        os._exit(3)
    if how == "sleep":
        time.sleep(600)
    sys.modules.clear()
    raise SystemExit(5)
decoder = encoder
"""


def hostile(tmp_path, how):
    (tmp_path / "skip.py").write_text(HOSTILE)
    codes, spec = read(tmp_path)
    shape = spec.architecture.model_copy(update={"options": {"how": how}})
    return codes, spec.model_copy(update={"architecture": shape})


@pytest.mark.slow
def test_on_dask_a_users_code_cannot_damage_the_worker(tmp_path, daemon_client):
    dataset = dataset_entry()
    worker = daemon_client.submit(os.getpid, pure=False).result(timeout=60)
    for how in ("exit", "clear"):
        codes, spec = hostile(tmp_path, how)
        context = context_of(how, codes)
        future = daemon_client.submit(train_on_worker, context, dataset, spec, pure=False)
        with pytest.raises((WorkerDiedError, SystemExit)):
            future.result(timeout=120)
    assert daemon_client.submit(os.getpid, pure=False).result(timeout=60) == worker


@pytest.mark.slow
def test_on_dask_an_interrupt_ends_code_that_reports_nothing(tmp_path, daemon_client):
    from distributed import Event

    dataset = dataset_entry()
    codes, spec = hostile(tmp_path, "sleep")
    context = context_of("sleeps", codes)
    future = daemon_client.submit(train_on_worker, context, dataset, spec, pure=False)
    assert wait_until(lambda: ["from a user's file"] in warned(daemon_client, "sleeps"), 60)
    Event("sleeps", client=daemon_client).set()
    with pytest.raises(WorkerDiedError, match="the run was stopped"):
        future.result(timeout=60)
