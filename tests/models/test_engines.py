"""Which engine computes a module."""

import pytest
import torch
from torch import nn

from models import engines
from models.engines import choose_engine, choose_inference, make_step
from models.fast.step import FastTrainingStep
from models.fit import train_autoencoder
from models.networks.autoencoder import Autoencoder
from models.objectives.squared_error import SquaredError
from models.specs import WRITTEN_SHAPE, ModelSpec
from models.training.stacked_parameters import StackedParameters
from models.training.torch_step import TorchTrainingStep
from tests.models.examples import IMAGES, SPEC, recipe
from tests.models.training.test_loop import CheckpointInMemory, Killed

SHAPE = (1, 28, 28)


@pytest.fixture
def nothing_proved(monkeypatch):
    monkeypatch.setattr(engines, "_PROVED", {})


def test_known_modules_are_proved_once_per_process(monkeypatch, nothing_proved):
    compared = []

    def prove(*arguments):
        compared.append(arguments)
        return True

    monkeypatch.setattr(engines, "equals_torch", prove)
    module = Autoencoder(ModelSpec.written(), WRITTEN_SHAPE)
    for sizes in ([4, 2], [2, 4], [4, 2]):
        assert choose_engine(module, SHAPE, SquaredError(), sizes) == "hand-written"
    assert len(compared) == 1
    assert choose_engine(module, SHAPE, SquaredError(), [8]) == "hand-written"
    assert len(compared) == 2
    for latent_dim, depth in ((7, 2), (7, 3)):
        other = Autoencoder(ModelSpec.written(depth=depth, latent_dim=latent_dim), WRITTEN_SHAPE)
        assert choose_engine(other, SHAPE, SquaredError(), [8]) == "hand-written"
    assert len(compared) == 3  # another latent size is the same code


def test_a_difference_means_torch_and_one_warning(monkeypatch, nothing_proved):
    monkeypatch.setattr(engines, "equals_torch", lambda *arguments: False)
    module = Autoencoder(ModelSpec.written(), WRITTEN_SHAPE)
    with pytest.warns(UserWarning, match="Autoencoder: the hand-written step differs") as said:
        chosen = [choose_engine(module, SHAPE, SquaredError(), [4]) for _ in range(2)]
    assert chosen == ["torch", "torch"]
    assert len(said) == 1


def test_unknown_modules_are_torchs():
    module = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    assert choose_engine(module, (4,), SquaredError(), [2]) == "torch"
    parameters = StackedParameters([module])
    x = torch.rand(3, 4)
    assert torch.equal(choose_inference(parameters, module, (4,))(x)[0], module(x))
    step = make_step("torch", parameters, module, 2, (4,), SquaredError())
    assert isinstance(step, TorchTrainingStep)


def test_torch_trains_on_a_gpu_in_bf16_and_by_other_objectives():
    module = Autoencoder(ModelSpec.written(), SHAPE)

    def other(module, inputs, extra):
        return (module(inputs) - inputs).abs().mean()

    def chosen(objective, *where):
        return choose_engine(module, SHAPE, objective, [4], *where)

    assert chosen(SquaredError()) == "hand-written"
    assert chosen(SquaredError(), "cuda") == chosen(SquaredError(), "cpu", "bf16") == "torch"
    assert chosen(other) == "torch"


def test_first_losses_of_both_engines_are_equal_to_a_millionth():
    losses = {}
    for engine in ("torch", "hand-written"):
        torch.manual_seed(0)
        module = Autoencoder(ModelSpec.written(depth=2, latent_dim=20), WRITTEN_SHAPE)
        parameters = StackedParameters([module])
        step = make_step(engine, parameters, module, 64, SHAPE, SquaredError())
        optimizer = torch.optim.Adam([parameters.values], 1e-3, fused=True)
        found = []
        for index in range(20):
            x = torch.rand(64, 784, generator=torch.Generator().manual_seed(index))
            step.inputs.copy_(x.unsqueeze(0))
            step.total.zero_()
            step()
            optimizer.step()
            found.append(step.total.item())
        losses[engine] = found
    assert losses["torch"] == pytest.approx(losses["hand-written"], rel=0, abs=1e-6)
    assert losses["torch"][-1] < losses["torch"][0]


def test_a_resumed_training_keeps_the_engine_of_its_checkpoint(monkeypatch, nothing_proved):
    monkeypatch.setattr(engines, "is_known", lambda module: False)
    chosen = recipe(epochs=3)
    whole, _ = train_autoencoder(SPEC, chosen, IMAGES, IMAGES[:10])
    checkpoint = CheckpointInMemory(killed_after=1)
    with pytest.raises(Killed):
        train_autoencoder(SPEC, chosen, IMAGES, IMAGES[:10], checkpoint=checkpoint)
    assert checkpoint.snapshot.data["engine"] == "torch"
    checkpoint.killed_after = None
    monkeypatch.undo()

    def never(*arguments):
        raise AssertionError("the hand-written step was used")

    monkeypatch.setattr(FastTrainingStep, "__call__", never)
    continued, _ = train_autoencoder(SPEC, chosen, IMAGES, IMAGES[:10], checkpoint=checkpoint)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, continued.state_dict()[name]), name
