"""The shipped objectives against torch's own formulas, and in the training step."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional

from models.engines import try_objective
from models.networks.autoencoder import Autoencoder
from models.objectives.checks import check_objective
from models.objectives.objective import Extra, loss_and_parts, needs_of
from models.objectives.pixel_losses import AbsoluteError, BinaryCrossEntropy
from models.objectives.registry import OBJECTIVES, make_objective, name_of, register_objective
from models.objectives.regularized import Denoising, Sparse
from models.objectives.squared_error import SquaredError
from models.objectives.variational import Variational, divergence
from models.random_streams import random_stream
from models.specs import WRITTEN_SHAPE, Architecture, ConfigError, ModelSpec, ObjectiveSpec
from models.training.stacked_parameters import StackedParameters
from models.training.torch_step import TorchTrainingStep

SHAPE, D, N = (1, 6, 6), 5, 12
IMAGES = torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.double)
NOISE = {
    None: None,
    "image": torch.randn(N, *SHAPE, generator=torch.Generator().manual_seed(2)).double(),
    "latent": torch.randn(N, D, generator=torch.Generator().manual_seed(3)).double(),
}


def autoencoder(objective, seed=0, **changes):
    """Fully connected, in double precision, with the outputs that the objective needs."""
    spec = ModelSpec(
        architecture=Architecture(encoder="mlp", decoder="mlp"),
        latent_dim=D,
        latent_activation="linear",
        latent_outputs=needs_of(objective).latent_outputs,
    )
    return Autoencoder(spec.model_copy(update=changes), SHAPE, seed).double()


def value(objective, model):
    """The scalars of an objective for the images."""
    extra = Extra(noise=NOISE[needs_of(objective).noise_like])
    return loss_and_parts(objective(model, IMAGES, extra), name_of(objective))


def gradient(objective, model):
    model.zero_grad()
    value(objective, model)["loss"].backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


@pytest.mark.parametrize(
    ("objective", "torchs"),
    [
        (SquaredError(), functional.mse_loss),
        (AbsoluteError(), functional.l1_loss),
        (BinaryCrossEntropy(), functional.binary_cross_entropy),
    ],
)
def test_losses_and_gradients_of_pixels_are_torchs(objective, torchs):
    model = autoencoder(objective)
    assert value(objective, model)["loss"].item() == torchs(model(IMAGES), IMAGES).item()
    found = gradient(objective, model)
    model.zero_grad()
    torchs(model(IMAGES), IMAGES).backward()
    expected = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-14)


def test_cross_entropy_of_saturated_pixels_is_finite():
    outputs = torch.tensor([[0.0, 1.0, 0.0, 1.0]], requires_grad=True)
    targets = torch.tensor([[0.0, 1.0, 1.0, 0.0]])
    loss = BinaryCrossEntropy()(lambda images: outputs, targets, Extra())
    loss.backward()
    assert 30 < loss < 100
    assert outputs.grad.isfinite().all()


@pytest.mark.parametrize("objective", [Denoising(noise=0), Sparse(weight=0)])
def test_without_their_addition_objectives_are_the_squared_error(objective):
    model, plain = autoencoder(objective), SquaredError()
    assert value(objective, model)["loss"].item() == value(plain, model)["loss"].item()
    torch.testing.assert_close(
        gradient(objective, model), gradient(plain, model), rtol=1e-12, atol=0
    )


def test_denoising_compares_the_clean_image_with_what_becomes_of_a_noisy_one():
    model = autoencoder(Denoising())
    noisy = IMAGES + 0.5 * NOISE["image"]
    expected = functional.mse_loss(model(noisy), IMAGES)
    assert value(Denoising(noise=0.5), model)["loss"].item() == expected.item()


def test_sparse_adds_the_mean_absolute_latent():
    model = autoencoder(Sparse())
    found = value(Sparse(weight=0.5), model)
    assert found["latent_l1"].item() == model.encoder(IMAGES).abs().mean().item()
    assert found["reconstruction"].item() == functional.mse_loss(model(IMAGES), IMAGES).item()
    assert found["loss"].item() == (found["reconstruction"] + 0.5 * found["latent_l1"]).item()


def test_the_divergence_is_that_of_torchs_distributions():
    mean, log_variance = torch.randn(2, N, D, generator=torch.Generator().manual_seed(4)).double()
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(divergence(mean, log_variance), expected)
    zero = torch.zeros(N, D)
    assert not divergence(zero, zero).any()


def test_vae_sums_over_pixels_and_units_and_takes_the_mean_over_images():
    model = autoencoder(Variational())
    found = value(Variational(beta=4, sigma=0.5), model)
    mean, log_variance = model.encoder.network(IMAGES).split(D, 1)
    assert torch.equal(model.encoder(IMAGES), mean)
    posterior = Normal(mean, (log_variance / 2).exp())
    pixels = Normal(model.decoder(mean + posterior.scale * NOISE["latent"]), 0.5)
    kl = kl_divergence(posterior, Normal(0.0, 1.0)).sum(1).mean()
    # the log density without its constant
    constant = pixels.log_prob(pixels.mean)
    likelihood = (pixels.log_prob(IMAGES) - constant).flatten(1).sum(1).mean()
    assert found["kl"].item() == pytest.approx(kl.item())
    assert found["reconstruction"].item() == pytest.approx(-likelihood.item())
    assert found["loss"].item() == pytest.approx((4 * kl - likelihood).item())
    without = value(Variational(beta=0), model)
    assert without["loss"].item() == without["reconstruction"].item()


@dataclass(frozen=True)
class Own:
    """An objective as a user writes it."""

    power: float = 1.5
    noise_like: ClassVar = "latent"

    def __call__(self, autoencoder, images, extra):
        latents = autoencoder.encoder(images) + 0.1 * extra.noise
        return ((autoencoder.decoder(latents) - images).abs() ** self.power).mean()


@pytest.mark.parametrize("objective", [*(kind() for kind in OBJECTIVES.values()), Own()], ids=str)
def test_a_stack_has_the_numbers_of_models_alone(objective):
    models = [autoencoder(objective, seed) for seed in range(3)]

    def numbers(modules, seeds):
        parameters = StackedParameters(modules)
        streams = [random_stream(seed, "noise") for seed in seeds]
        step = TorchTrainingStep(parameters, modules[0], N, SHAPE, objective, streams)
        step.inputs.copy_(IMAGES.flatten(1).unsqueeze(0))
        step()
        return parameters.gradients.clone(), {"train_loss": step.total, **step.parts}

    gradients, totals = numbers(models, range(3))
    for seed, model in enumerate(models):
        alone, alone_totals = numbers([model], [seed])
        torch.testing.assert_close(gradients[seed], alone[0], rtol=1e-9, atol=1e-12)
        for name, total in totals.items():
            assert total[seed].item() == pytest.approx(alone_totals[name].item()), name
    assert (totals.keys() == {"train_loss"}) == (objective == SquaredError())
    if isinstance(objective, Variational):
        assert totals.keys() == {"train_loss", "objective_loss", "reconstruction", "kl"}
        error_by_pixel = totals["reconstruction"] * 2 / 36
        assert totals["train_loss"].tolist() == pytest.approx(error_by_pixel.tolist())


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("mae", {}, "objective 'mae' is not known; there are mse, bce, .*vae"),
        ("vae", {"gamma": 1}, "objective vae: gamma: is no key that is known; .*: beta, sigma"),
        ("vae", {"beta": -1}, "objective vae: beta: Input should be greater than or equal to 0"),
        ("denoising", {"noise": "much"}, "objective denoising: noise: .*valid number"),
        ("mse", {"noise": 1}, "objective mse: noise: .*its settings: none"),
        ("sha256:1", {"power": 0}, r"objective: .*test_objectives.py, line \d+: ZeroDivision"),
        ("sha256:1", {"exponent": 2}, "objective: TypeError: .*exponent"),
        ("sha256:2", {}, "objective: called with its settings it returned int, no function"),
    ],
)
def test_mistakes_are_one_line(name, settings, message):
    register_objective("sha256:1", lambda power: Own(1 / power))
    register_objective("sha256:2", lambda: 3)
    with pytest.raises(ConfigError, match=message) as error:
        make_objective(ObjectiveSpec(name=name, settings=settings))
    assert "\n" not in str(error.value)


def test_objectives_are_made_with_their_settings():
    assert make_objective(ObjectiveSpec()) == SquaredError()
    made = make_objective(ObjectiveSpec(name="vae", settings={"beta": 4}))
    assert made == Variational(beta=4)
    assert name_of(made) == "vae"


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda error: error.flatten(1).mean(1), r"loss is of shape \(2,\); return a scalar"),
        (lambda error: {"l2": error.mean()}, "returns 'l2' and no 'loss'"),
        (lambda error: {"loss": error.mean(), "test_loss": error.max()}, "cannot be the name"),
        (lambda error: None, "loss is of NoneType"),
    ],
)
def test_what_an_objective_returns_is_checked(returned, message):
    def wrong(model, images, extra):
        return returned((model(images) - images).square())

    model = autoencoder(SquaredError())
    with pytest.raises(ConfigError, match=f"objective wrong.*{message}"):
        TorchTrainingStep(StackedParameters([model]), model, N, SHAPE, wrong)


def test_an_objective_that_reconstructs_nothing_is_refused():
    def encoding(model, images, extra):
        return model.encoder(images).square().mean()

    model = autoencoder(SquaredError())
    with pytest.raises(ConfigError, match="objective encoding reconstructs no image"):
        TorchTrainingStep(StackedParameters([model]), model, N, SHAPE, encoding)


def check(objective, **changes):
    model = autoencoder(objective, **changes)
    check_objective(objective, model.spec, model, IMAGES)


@pytest.mark.parametrize("kind", OBJECTIVES.values(), ids=OBJECTIVES)
def test_shipped_networks_suit_every_shipped_objective(kind):
    check(kind())


def test_an_autoencoder_that_does_not_suit_is_refused():
    with pytest.raises(ConfigError, match=r"objective vae: latents are means.*linear, not relu"):
        check(Variational(), latent_activation="relu")
    with pytest.raises(ConfigError, match=r"objective vae: .* must have 2 outputs .* has 1"):
        check(Variational(), latent_outputs=1)
    with pytest.raises(ConfigError, match=r"objective mse: .* must have 1 outputs .* has 2"):
        check(SquaredError(), latent_outputs=2)


class Unbounded(nn.Module):
    def __init__(self, last):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(36, D))
        self.decoder = nn.Sequential(nn.Linear(D, 36), last, nn.Unflatten(1, SHAPE))

    def forward(self, x):
        return self.decoder(self.encoder(x))


def test_outputs_outside_of_0_to_1_are_refused_by_bce_alone():
    spec = autoencoder(SquaredError()).spec
    for last in (nn.Identity(), nn.ReLU(), nn.Softplus()):
        torch.manual_seed(0)
        model = Unbounded(last).double()
        check_objective(SquaredError(), spec, model, IMAGES)
        with pytest.raises(ConfigError, match=r"objective bce: .* are in \[.*\]; end the decoder"):
            check_objective(BinaryCrossEntropy(), spec, model, IMAGES)
    check_objective(BinaryCrossEntropy(), spec, Unbounded(nn.Sigmoid()).double(), IMAGES)


class Wrong:
    """An objective that forgets what it is called with, or gives a wrong value."""

    def __init__(self, value, noise_like=None):
        self.value, self.noise_like = value, noise_like

    def __call__(self, autoencoder, images, extra):
        return self.value(autoencoder(images) - images, extra)


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (Wrong(lambda difference, extra: "loss"), "loss is of str"),
        (Wrong(lambda difference, extra: difference), "loss is of shape"),
        (Wrong(lambda difference, extra: {"kl": difference.mean()}), "and no 'loss'"),
        (
            Wrong(lambda difference, extra: {"loss": difference.sum(), "n": torch.tensor(1)}),
            "int64",
        ),
        (Wrong(lambda difference, extra: extra.nothing), "has no attribute 'nothing'"),
        (Wrong(lambda difference, extra: difference.mean(), "images"), "noise_like is 'images'"),
    ],
)
def test_an_objective_is_tried_before_a_training(objective, expected):
    spec = ModelSpec.written(depth=1, latent_dim=2)
    with pytest.raises(ConfigError, match=expected) as found:
        try_objective(objective, Autoencoder(spec, WRITTEN_SHAPE), WRITTEN_SHAPE)
    assert "\n" not in str(found.value)


def test_trying_an_objective_gives_it_the_noise_that_it_asks_for():
    seen = []
    spec = ModelSpec.written(depth=1, latent_dim=2)
    model = Autoencoder(spec, WRITTEN_SHAPE)
    for kind in ("image", "latent"):

        def loss(difference, extra):
            seen.append(tuple(extra.noise.shape[1:]))
            return difference.mean()

        try_objective(Wrong(loss, kind), model, WRITTEN_SHAPE)
    assert seen == [WRITTEN_SHAPE, (2,)]
