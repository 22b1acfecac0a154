import pytest
import torch
from torch import nn

from models.measures.flops import training_flops
from models.networks.autoencoder import Autoencoder
from models.specs import WRITTEN_SHAPE, ModelSpec


def test_a_linear_layer_multiplies_in_both_directions():
    layers = nn.Sequential(nn.Linear(5, 7), nn.Linear(7, 3))
    forward = 2 * (5 * 7 + 7 * 3)
    weights, inner_input = forward, 2 * 7 * 3  # the first input needs no gradient
    assert training_flops(layers, (5,)) == forward + weights + inner_input


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_module_is_not_changed(depth):
    model = Autoencoder(ModelSpec.written(depth=depth, latent_dim=3), WRITTEN_SHAPE).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert training_flops(model, (1, 28, 28)) > 2 * 28 * 28
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
