"""conv and mlp: images of any shape in, images in (0, 1) out, no pixel left out."""

import pytest
import torch
from torch import nn

from models.measures.reach import unreachable_outputs, unseen_inputs
from models.networks.autoencoder import Autoencoder, count_parameters
from models.networks.initialization import initialize
from models.specs import Architecture, ConfigError, ModelSpec
from tests.models.conftest import seeded

SHAPES = [(1, 20, 20), (3, 48, 32), (3, 128, 128), (1, 28, 28)]
NETWORKS = {
    "conv": {},
    "conv, one layer": {"layers": 1, "width": 4},
    "conv, eight layers": {"layers": 8, "width": 2},
    "mlp": {"width": 32},
    "mlp, linear": {"layers": 0},
}


def spec_of(name, latent_dim=5, **more):
    kind = name.partition(",")[0]
    return ModelSpec(
        architecture=Architecture(encoder=kind, decoder=kind, options=NETWORKS[name]),
        latent_dim=latent_dim,
        latent_activation="linear",
        **more,
    )


def made(name, shape, seed=0):
    model = Autoencoder(spec_of(name), shape, seed)
    initialize(model, seed)
    return model


def images(shape, n=4):
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NETWORKS)
def test_images_become_latent_vectors_and_images_in_the_open_unit_interval(name, shape):
    model = made(name, shape).eval()
    with torch.no_grad():
        latents = model.encoder(images(shape))
        decoded = model.decoder(3 * torch.randn(4, 5, generator=seeded()))
    assert latents.shape == (4, 5)
    assert decoded.shape == (4, *shape)
    assert 0 < decoded.min() <= decoded.max() < 1
    assert torch.equal(model.encoder(images(shape)), latents)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_pixel_is_seen_and_reached(name, shape):
    model, generator = made(name, shape), seeded()
    assert not unseen_inputs(model.encoder, shape, generator).any()
    assert not unreachable_outputs(model.decoder, (5,), generator).any()


@pytest.mark.parametrize("name", ["conv", "mlp"])
def test_a_convolution_that_stops_short_of_the_edge_is_found(name):
    """The measure that the test above relies on can tell."""
    model = made(name, (1, 28, 28))
    edge = nn.ZeroPad2d((-1, 1, 0, 0))  # the first column is dropped
    generator = seeded()
    unseen = unseen_inputs(nn.Sequential(edge, model.encoder), (1, 28, 28), generator)
    assert unseen[0, :, 0].all()
    assert not unseen[0, :, 1:].any()


@pytest.mark.parametrize("name", ["conv", "mlp"])
def test_a_batch_has_gradients_for_every_parameter(name):
    model = made(name, (3, 48, 32)).train()
    batch = images((3, 48, 32))
    (model(batch) - batch).square().mean().backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name


@pytest.mark.parametrize("name", ["conv", "mlp"])
def test_the_latent_size_is_that_of_means_and_variances(name):
    model = Autoencoder(spec_of(name, latent_outputs=2), (1, 20, 20))
    batch = images((1, 20, 20))
    assert model.encoder.network(batch).shape == (4, 10)
    model.eval()
    assert torch.equal(model.encoder(batch), model.encoder.network(batch)[:, :5])
    assert model(batch).shape == batch.shape


def test_widths_and_layers_are_those_that_were_asked_for():
    def convolutions(**options):
        spec = ModelSpec(architecture=Architecture(encoder="conv", decoder="conv", options=options))
        return [
            one.out_channels
            for one in Autoencoder(spec, (1, 32, 32)).encoder.modules()
            if isinstance(one, nn.Conv2d)
        ]

    assert convolutions() == [16, 32, 64]
    assert convolutions(width=3, layers=2) == [3, 6]
    assert convolutions(width=2, layers=6) == [2, 4, 8, 16, 16, 16]  # 32 to 2: four layers halve
    small = Architecture(encoder="mlp", decoder="mlp", options={"layers": 1, "width": 7})
    model = Autoencoder(ModelSpec(architecture=small, latent_dim=3), (1, 2, 2))
    assert count_parameters(model) == (4 + 1) * 7 + (7 + 1) * 3 + (3 + 1) * 7 + (7 + 1) * 4


@pytest.mark.parametrize("sides", [(30, 32), (32, 30), (27, 27), (2, 4)])
def test_conv_refuses_sides_that_are_not_divisible_by_4(sides):
    height, width = sides
    message = rf"^conv is for images whose sides are divisible by 4, not {height}x{width}; set data"
    for part in ("encoder", "decoder"):
        kinds = {"encoder": "mlp", "decoder": "mlp", part: "conv"}
        with pytest.raises(ConfigError, match=message):
            Autoencoder(ModelSpec(architecture=Architecture(**kinds)), (1, *sides))
    assert made("mlp", (1, *sides))(images((1, *sides))).shape == (4, 1, *sides)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("conv", {"layers": 0}, "conv: layers: 0 is no whole number from 1 to 8"),
        ("conv", {"layers": 9}, "conv: layers: 9 is no whole number from 1 to 8"),
        ("conv", {"width": 0}, "conv: width: 0 is no whole number from 1 to 4,096"),
        ("conv", {"width": 2.0}, "conv: width: 2.0 is no whole number"),
        ("conv", {"width": True}, "conv: width: True is no whole number"),
        ("conv", {"width": None}, "conv: width: None is no whole number"),
        ("mlp", {"layers": -1}, "mlp: layers: -1 is no whole number from 0 to 20"),
        ("mlp", {"layers": 21}, "mlp: layers: 21 is no whole number from 0 to 20"),
        ("mlp", {"width": "8"}, "mlp: width: '8' is no whole number from 1 to 65,536"),
        ("conv", {"widht": 8}, "got an unexpected option 'widht'"),
        ("mlp", {"depth": 2}, "got an unexpected option 'depth'"),
    ],
)
def test_an_option_that_does_not_fit_is_one_line(kind, options, message):
    architecture = Architecture(encoder=kind, decoder=kind, options=options)
    with pytest.raises(ConfigError) as caught:
        Autoencoder(ModelSpec(architecture=architecture), (1, 28, 28))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["conv", "mlp"])
def test_weights_follow_from_the_seed_alone(name):
    before = torch.get_rng_state()
    first, again, other = (made(name, (1, 20, 20), seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(1)
    after_a_draw = made(name, (1, 20, 20), 3).state_dict()
    assert first.keys() == again.keys() == other.keys()
    for key, value in first.items():
        assert torch.equal(value, again[key]), key
        assert torch.equal(value, after_a_draw[key]), key
    weights = [key for key, value in first.items() if key.endswith("weight") and value.dim() > 1]
    assert weights
    assert not any(torch.equal(first[key], other[key]) for key in weights)


@pytest.mark.parametrize("name", ["conv", "mlp"])
def test_networks_of_two_latent_sizes_start_with_the_same_layers(name):
    small, large = (Autoencoder(spec_of(name, latent_dim=size), (1, 20, 20)) for size in (2, 9))
    for model in (small, large):
        initialize(model, 0)
    first = {key: value for key, value in small.named_parameters()}
    same = [
        key
        for key, value in large.named_parameters()
        if value.shape == first[key].shape and value.dim() > 1
    ]
    assert same
    assert all(torch.equal(dict(large.named_parameters())[key], first[key]) for key in same)
