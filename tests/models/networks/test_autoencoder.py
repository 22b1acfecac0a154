import pytest
import torch

from models.networks.autoencoder import Autoencoder, count_parameters
from models.networks.initialization import initialize
from models.specs import WRITTEN_SHAPE, ModelSpec

PARAMETERS = {  # by depth and latent size
    (2, 1): 15_482,
    (2, 5): 22_686,
    (2, 10): 31_691,
    (2, 20): 49_701,
    (2, 50): 103_731,
    (2, 100): 193_781,
    (1, 20): 27_543,
    (3, 20): 28_317,
}


@pytest.mark.parametrize(("sizes", "expected"), PARAMETERS.items())
def test_parameter_counts_are_exact(sizes, expected):
    depth, latent_dim = sizes
    model = Autoencoder(ModelSpec.written(depth=depth, latent_dim=latent_dim), WRITTEN_SHAPE)
    assert count_parameters(model) == expected


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_shapes_and_ranges_of_latents_and_images(depth, activation):
    model = Autoencoder(
        ModelSpec.written(depth=depth, latent_dim=7, latent_activation=activation), WRITTEN_SHAPE
    )
    images = torch.rand(3, 1, 28, 28)
    latents = model.encoder(images)
    output = model(images)
    assert latents.shape == (3, 7)
    assert (latents.min() >= 0) == (activation == "relu")
    assert output.shape == images.shape
    assert 0 < output.min() <= output.max() < 1


def test_initial_weights_come_from_the_seed_alone():
    models = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        models.append(Autoencoder(ModelSpec.written(), WRITTEN_SHAPE))
        initialize(models[-1], 3, latent_bias=1.0)
    first, second = (model.state_dict() for model in models)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(first["encoder.latent.bias"], torch.ones(20))


def test_initial_weights_have_the_standard_deviation_of_torchs():
    ours, torchs = (
        Autoencoder(ModelSpec.written(depth=2), WRITTEN_SHAPE),
        Autoencoder(ModelSpec.written(depth=2), WRITTEN_SHAPE),
    )
    initialize(ours, 0)
    for (name, weight), expected in zip(ours.named_parameters(), torchs.parameters(), strict=True):
        if weight.numel() > 300:
            assert weight.std().item() == pytest.approx(expected.std().item(), rel=0.15), name


def test_layers_of_equal_shape_start_equal_at_every_latent_size():
    small, large = (
        Autoencoder(ModelSpec.written(depth=2, latent_dim=d), WRITTEN_SHAPE) for d in (5, 50)
    )
    for model in (small, large):
        initialize(model, 0)
    pairs = zip(small.named_parameters(), large.named_parameters(), strict=True)
    shared = [name for (name, a), (_, b) in pairs if a.shape == b.shape and torch.equal(a, b)]
    assert "encoder.features.0.0.weight" in shared
    assert "decoder.image.5.bias" in shared  # it comes after a layer whose shape depends on d


def test_the_latent_bias_of_means_leaves_logarithms_of_variances_alone():
    spec = ModelSpec.written(depth=2, latent_dim=3, latent_activation="linear", latent_outputs=2)
    model = Autoencoder(spec, WRITTEN_SHAPE)
    initialize(model, 0, 1.0)
    bias = model.encoder.network.latent.bias
    assert bias[:3].tolist() == [1.0] * 3
    assert all(value != 1 for value in bias[3:].tolist())
