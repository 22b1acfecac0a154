"""What networks see and change, against random decodings, sampling and made networks."""

import pytest
import torch
from torch import nn

from models.measures.reach import (
    constant_floor,
    tied_outputs,
    unreachable_outputs,
    unseen_inputs,
)
from models.networks.autoencoder import Autoencoder
from models.networks.initialization import initialize
from models.specs import WRITTEN_SHAPE, ModelSpec
from tests.models.conftest import seeded

IMAGE = (1, 28, 28)
EDGE = torch.zeros(IMAGE, dtype=torch.bool)
EDGE[:, 25:], EDGE[:, :, 25:] = True, True
EDGES = {1: EDGE, 2: EDGE, 3: torch.zeros(IMAGE, dtype=torch.bool)}


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_random_latents_change_exactly_the_reachable_pixels(depth):
    model = Autoencoder(ModelSpec.written(depth=depth, latent_dim=20), WRITTEN_SHAPE)
    unreachable = unreachable_outputs(model.decoder, (20,), seeded())
    assert torch.equal(unreachable, EDGES[depth])
    initialize(model, 1)
    with torch.no_grad():
        decoded = model.eval().decoder(3 * torch.randn(3_000, 20, generator=seeded()))
    assert torch.equal(decoded.amax(0) == decoded.amin(0), unreachable)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_changed_pixels_change_the_latent_vector_exactly_where_they_are_seen(depth):
    model = Autoencoder(
        ModelSpec.written(depth=depth, latent_dim=20, latent_activation="linear"), WRITTEN_SHAPE
    )
    unseen = unseen_inputs(model.encoder, IMAGE, seeded())
    assert torch.equal(unseen, EDGES[depth])
    initialize(model, 1)
    model.double()  # single precision rounds differently in batches of 1 and of 784
    image = torch.rand(*IMAGE, generator=seeded(), dtype=torch.double)
    changed = image.repeat(784, 1, 1, 1)
    changed.flatten(1)[range(784), range(784)] += 5
    with torch.no_grad():
        latents, changed_latents = model.eval().encoder(image[None]), model.encoder(changed)
    moved = ~torch.isclose(changed_latents, latents, rtol=0, atol=1e-12).all(1)
    assert torch.equal(moved.reshape(IMAGE), ~unseen)


def test_other_networks():
    blind = nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.ReLU())
    assert not unseen_inputs(blind, (1, 2, 3), seeded()).any()
    strided = nn.Conv1d(1, 2, 3, stride=2)
    assert unseen_inputs(strided, (1, 8), seeded()).tolist() == [[False] * 7 + [True]]
    padded = nn.ConvTranspose1d(1, 1, 3, stride=2, output_padding=1)
    unreachable = unreachable_outputs(padded, (1, 3), seeded())
    assert unreachable.tolist() == [[False] * 7 + [True]]
    skips = nn.Sequential(nn.ConvTranspose1d(1, 2, 1, stride=3, output_padding=2), nn.Sigmoid())
    unreachable = unreachable_outputs(skips, (1, 2), seeded())
    assert unreachable.tolist() == [[False, True, True] * 2] * 2
    assert tied_outputs(skips, (1, 2), unreachable, seeded()).unique().tolist() == [0, 1]


def test_the_module_itself_is_not_changed():
    model = Autoencoder(ModelSpec.written(depth=2, latent_dim=3), WRITTEN_SHAPE).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    unseen_inputs(model.encoder, IMAGE, seeded())
    unreachable_outputs(model.decoder, (3,), seeded())
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize(("depth", "groups"), [(1, 1), (2, 29)])
def test_unreachable_pixels_share_few_constants(depth, groups):
    model = Autoencoder(ModelSpec.written(depth=depth, latent_dim=20), WRITTEN_SHAPE)
    tied = tied_outputs(model.decoder, (20,), EDGE, seeded())
    assert tied.shape == (159,)
    assert len(tied.unique()) == groups
    initialize(model, 1)
    with torch.no_grad():
        pixels = model.eval().decoder(torch.zeros(1, 20))[0][EDGE]
    assert len(pixels.unique()) == groups


def test_the_floor_is_the_error_of_the_best_constants():
    train = torch.tensor([[0.0, 0.2, 1.0], [1.0, 0.4, 1.0]])
    test = torch.tensor([[0.5, 0.3, 1.0], [1.0, 0.3, 0.0]])
    own, one = torch.tensor([0, 1, 2]), torch.tensor([0, 0, 0])
    assert constant_floor(train, test, own) == pytest.approx((0.0 + 0.25 + 0.0 + 1.0) / 2)
    mean = 3.6 / 6
    by_hand = sum((float(value) - mean) ** 2 for value in test.flatten()) / 2
    assert constant_floor(train, test, one) == pytest.approx(by_hand)
    assert constant_floor(train, train, own) <= constant_floor(train, train, one)
