"""Networks that users get wrong are one clear line; odd ones are trained with right numbers."""

from pathlib import Path

import pytest
import torch

from models.networks.autoencoder import Autoencoder
from models.networks.checks import check_networks
from models.specs import Architecture, ConfigError, ModelSpec, ObjectiveSpec, TrainingRecipe
from tasks.artifacts.autoencoder import load_autoencoder
from tasks.artifacts.dataset import load_dataset
from tasks.execution.perform import perform
from tasks.execution.session import task_session
from tasks.own_code.digest import code_sha256
from tasks.own_code.load import unload
from tasks.own_code.read import read_source
from tasks.own_code.registry import OWN_CODES
from tasks.steps.train import train
from tests.tasks.execution.sessions import SameThreadWorkers, recorded_session
from tests.tasks.own_code.test_travel import dataset_entry

USER = Path(__file__).parent / "user"
SHAPE, D = (1, 28, 28), 3
BROKEN = {
    "raises": r"^odd\.py:raises: .*odd\.py, line 30: KeyError: 'large'$",
    "forgets_to_return": r"^odd\.py:forgets_to_return returned nothing, not .*odd\.py, line 33\)$",
    "wrong_shape": r"^odd\.py:wrong_shape returned 3x3x1 for inputs of 3x1x28x28; 3x3 is needed$",
    "no_parameters": r"^odd\.py:no_parameters has no parameters that could be trained$",
    "doubles": r"^odd\.py:doubles has parameters of float64; make them float32$",
    "huge": r"^odd\.py:huge: .*odd\.py, line 50: RuntimeError: .*allocate",
    "takes_grey_only": r"^odd\.py:takes_grey_only cannot take inputs of 3x1x28x28: Runtime.*expect",
    "lazy": r"^odd\.py:lazy has layers whose size is not given, like LazyLinear; give their sizes$",
    "exits": r"^odd\.py:exits: .*odd\.py, line \d+: SystemExit: 3$",
    "infinite": r"^odd\.py:infinite returned numbers that are not finite for inputs of zeros$",
}
ODD = [
    "dropout",
    "tied_weights",
    "layer_norm",
    "own_randomness",
    "no_sigmoid",
    "made_by_lambda",
    "EncoderClass",
    "nested_import",
    "global_state",
    "star",
]


def spec_of(name):
    """The autoencoder of an odd network, whose code this process may run."""
    encoder = "star.py:plain" if name == "star" else "odd.py:plain"
    decoder = "odd.py:no_sigmoid" if name == "no_sigmoid" else "odd.py:decoder"
    if name not in {"star", "no_sigmoid"}:
        encoder = f"odd.py:{name}"
    codes = [read_source(one, USER) for one in (encoder, decoder)]
    OWN_CODES.install(codes)
    OWN_CODES.register_builders()
    first, second = map(code_sha256, codes)
    spec = ModelSpec(architecture=Architecture(encoder=first, decoder=second), latent_dim=D)
    return spec, (encoder, decoder)


def check(name):
    unload()
    spec, names = spec_of(name)
    made = Autoencoder(spec, SHAPE)
    return check_networks(made.encoder.network, made.decoder, SHAPE, D, D, names)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_network_is_one_line(name):
    with pytest.raises(ConfigError, match=BROKEN[name]) as found:
        check(name)
    assert "\n" not in str(found.value)


def test_a_network_larger_than_the_memory_is_not_made():
    spec, _ = spec_of("huge")
    with pytest.raises(ConfigError, match=r"^odd.py:huge: its parameters would take 372,529 GiB, "):
        OWN_CODES.check_size(spec.architecture.encoder, SHAPE, D, options={})
    OWN_CODES.check_size(spec.architecture.decoder, SHAPE, D, options={})


def test_what_is_not_installed_is_one_line_without_running_anything():
    with pytest.raises(
        ConfigError, match=r"missing.py, line 2: no module 'not_installed_anywhere'"
    ):
        read_source("missing.py:encoder", USER)


def test_odd_networks_are_noted():
    (note,) = check("no_sigmoid")
    assert note.startswith("odd.py:no_sigmoid returns values outside [0, 1]")
    (note,) = check("randomness_in_evaluation")
    assert note.startswith("odd.py:randomness_in_evaluation draws random numbers in evaluation")


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.mark.parametrize("name", ODD)
def test_an_odd_network_is_trained_with_right_numbers(name, shared_home, monkeypatch):
    monkeypatch.setenv("STUDY_HOME", str(shared_home))
    check(name)
    spec, _ = spec_of(name)
    dataset = dataset_entry()
    entries = []
    for _ in range(2):
        unload()
        session = recorded_session(SameThreadWorkers(), forced={"train[x]"})
        recipe = TrainingRecipe(epochs=1, batch_size=50, latent_bias=None)
        inputs = {"dataset": dataset, "spec": spec, "recipe": recipe}
        inputs["objective"] = ObjectiveSpec()
        with task_session(session):
            entries.append(perform(train, {"subject": "x"}, inputs)[0])
    assert entries[0].files == entries[1].files
    unload()
    model = load_autoencoder(entries[0])
    images = load_dataset(dataset).test_images / 255
    with torch.no_grad():
        loss = float((model(images) - images).square().mean())
    last = entries[0].result["history"][-1]
    assert abs(loss - last["test_loss"]) < 1e-6
    assert last["test_loss"] < entries[0].result["metrics"]["initial_test_loss"]
