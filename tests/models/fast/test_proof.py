"""The comparison of the hand-written step with torch's finds every kind of difference."""

import importlib

import pytest
import torch
from torch import nn

from models.fast.proof import KNOWN, KNOWN_WITH_PARTS, equals_torch, is_known
from models.networks.autoencoder import Autoencoder
from models.networks.classifier import Classifier, feature_layers
from models.objectives.cross_entropy import CrossEntropy
from models.objectives.squared_error import SquaredError
from models.specs import WRITTEN_SHAPE, Architecture, ModelSpec

SHAPE = (1, 28, 28)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("sizes", [(128, 96), (5,)])
def test_the_written_studys_networks_are_proved(depth, sizes):
    torch.manual_seed(4)
    spec = ModelSpec.written(depth=depth, latent_dim=20)
    assert equals_torch(Autoencoder(spec, WRITTEN_SHAPE), SHAPE, SquaredError(), sizes)
    classifier = Classifier(spec, WRITTEN_SHAPE)
    for softmax_first in (False, True):
        assert equals_torch(classifier, SHAPE, CrossEntropy(softmax_first), sizes)
        assert equals_torch(classifier.head, (20,), CrossEntropy(softmax_first), sizes)


def changed(index, layer):
    """The autoencoder of depth 2 with another layer in its decoder."""
    found = Autoencoder(ModelSpec.written(depth=2, latent_dim=6), WRITTEN_SHAPE)
    found.decoder.image[index] = layer
    return found


class Skipping(Autoencoder):
    def forward(self, x):
        return (super().forward(x) + x) / 2


DIFFERENT = {
    "no sigmoid at the end": lambda: changed(6, nn.Identity()),
    "no activation in the middle": lambda: changed(4, nn.Identity()),
    "a skip connection": lambda: Skipping(ModelSpec.written(depth=2, latent_dim=6), WRITTEN_SHAPE),
}


@pytest.mark.parametrize("make", DIFFERENT.values(), ids=DIFFERENT)
def test_a_network_that_computes_something_else_is_not_proved(make):
    torch.manual_seed(0)
    assert not equals_torch(make(), SHAPE, SquaredError(), [16])


@pytest.mark.parametrize("norm", [{"momentum": 0.3}, {"eps": 0.5}])
def test_settings_of_batch_norm_are_followed(norm):
    assert equals_torch(changed(3, nn.BatchNorm2d(18, **norm)), SHAPE, SquaredError(), [16])


def test_only_exact_types_are_known():
    spec = ModelSpec.written()
    classifier = Classifier(spec, WRITTEN_SHAPE)
    known = [
        Autoencoder(spec, WRITTEN_SHAPE),
        classifier,
        classifier.head,
        feature_layers(classifier),
    ]
    assert all(
        map(is_known, [*known, classifier.encoder, Autoencoder(spec, WRITTEN_SHAPE).decoder])
    )
    conv = Architecture(encoder="conv", decoder="conv")
    others = [
        Autoencoder(ModelSpec(architecture=conv), WRITTEN_SHAPE),
        Skipping(spec, WRITTEN_SHAPE),
        nn.Linear(2, 2),
        nn.Sequential(nn.Linear(2, 2), nn.Tanh()),
    ]
    assert not any(map(is_known, others))


def test_every_name_is_that_of_a_network():
    for name in KNOWN | KNOWN_WITH_PARTS:
        place, _, kind = name.rpartition(".")
        assert issubclass(getattr(importlib.import_module(place), kind), nn.Module)
