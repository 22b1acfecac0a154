"""A killed training continues with the same bits, whatever module and objective are trained."""

import pytest
import torch
from torch import nn

from models.engines import make_inference, make_step
from models.objectives.regularized import Denoising, Sparse
from models.objectives.squared_error import SquaredError, mean_square
from models.objectives.variational import Variational
from models.random_streams import random_stream
from models.training.loop import Member, Training, load_snapshots
from models.training.optimizers import make_optimizer, make_schedule
from models.training.stacked_parameters import StackedParameters
from tests.models.training.test_loop import have_equal_weights, killed_and_continued

SHAPE, EPOCHS, BATCH = (1, 6, 6), 3, 16
IMAGES = torch.randint(
    0, 256, (40, 1, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)


class Small(nn.Module):
    """An autoencoder; its layers are in the order in which they run."""

    def __init__(self, *after_encoding):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(36, 5, bias=False), *after_encoding)
        self.decoder = nn.Sequential(nn.Linear(5, 36), nn.Sigmoid(), nn.Unflatten(1, SHAPE))

    def forward(self, x):
        return self.decoder(self.encoder(x))


class Noisy(nn.Module):
    """Adds random numbers, and counts its calls in a buffer that it replaces."""

    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.long))

    def forward(self, z):
        self.count = self.count + 1
        return z + torch.randn(5) / 10 if self.training else z


MODULES = {
    "plain": Small,
    "batch norm": lambda: Small(nn.BatchNorm1d(5), nn.ReLU()),
    "dropout": lambda: Small(nn.Dropout(0.4)),
    "own randomness": lambda: Small(Noisy()),
}


def train(make, checkpoints, seeds=(4,), objective=None, precision="float32", device="cpu"):
    """The trained modules and their members."""
    modules = []
    for seed in seeds:
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            modules.append(make())
    first, parameters = modules[0], StackedParameters(modules, device)
    members = [
        Member(random_stream(seed, "order"), checkpoint=checkpoint, seed=seed)
        for seed, checkpoint in zip(seeds, checkpoints, strict=True)
    ]
    optimizer = make_optimizer("adam", parameters.values, 0.01)
    streams = [member.noise for member in members]
    objective = objective or SquaredError()

    def step(n):
        return make_step("torch", parameters, first, n, SHAPE, objective, streams, precision)

    inference = make_inference("torch", parameters, first, SHAPE)

    images = IMAGES.to(device)

    def test_losses():
        return [mean_square(one, images / 255).item() for one in inference(images)]

    schedule = make_schedule("one_cycle", optimizer, 0.01, EPOCHS * 3)
    training = Training(parameters, members, optimizer, step, schedule)
    snapshots = load_snapshots(members)
    training.fit(images, None, BATCH, EPOCHS, test_losses, snapshots=snapshots)
    for index, module in enumerate(modules):
        parameters.copy_to(index, module)
    return modules, members


def assert_continues(epoch, *arguments, **options):
    """Train to the end, and in two parts; returns the module."""
    torch.rand(3)
    (whole,), (member,) = train(arguments[0], [None], *arguments[1:], **options)

    def resume(checkpoint):
        return train(arguments[0], [checkpoint], *arguments[1:], **options)

    (continued,), (continued_member,) = killed_and_continued(resume, epoch)
    assert have_equal_weights(whole, continued)
    assert member.history == continued_member.history
    return whole


@pytest.mark.parametrize("epoch", [1, 2, 3])
@pytest.mark.parametrize("make", MODULES.values(), ids=MODULES)
def test_modules(make, epoch):
    before = torch.get_rng_state()
    whole = assert_continues(epoch, make)
    if make is MODULES["own randomness"]:
        assert whole.encoder[-1].count == EPOCHS * 3
    torch.set_rng_state(before)


class Variance(nn.Module):
    """The encoder of a variational autoencoder, with means and logarithms of variances."""

    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(nn.Flatten(), nn.Linear(36, 10))

    def forward(self, x):
        return self.network(x)[:, :5]


def variational():
    module = Small()
    module.encoder = Variance()
    return module


@pytest.mark.parametrize("epoch", [1, 3])
@pytest.mark.parametrize(
    ("make", "objective"),
    [
        (MODULES["batch norm"], Denoising()),
        (MODULES["dropout"], Denoising()),
        (MODULES["plain"], Sparse()),
        (variational, Variational(beta=0.5)),
    ],
)
def test_objectives(make, objective, epoch):
    assert_continues(epoch, make, objective=objective)


def test_losses_of_objectives_are_means_by_epoch():
    (module,), (member,) = train(variational, [None], objective=Variational(sigma=0.3))
    assert [epoch.epoch for epoch in member.history] == [1, 2, 3]
    for epoch in member.history:
        assert epoch.parts.keys() == {"objective_loss", "reconstruction", "kl"}
        total = epoch.parts["reconstruction"] + epoch.parts["kl"]
        assert epoch.parts["objective_loss"] == pytest.approx(total, rel=1e-5)
        error = epoch.parts["reconstruction"] * 2 * 0.09 / 36
        assert epoch.train_loss == pytest.approx(error, rel=1e-5)
    with torch.no_grad():
        measured = mean_square(module(IMAGES / 255), IMAGES / 255).item()
    assert member.history[-1].test_loss == pytest.approx(measured, rel=1e-5)
    _, (plain,) = train(Small, [None])
    assert not any(epoch.parts for epoch in plain.history)


@pytest.mark.parametrize("make", [MODULES["batch norm"], MODULES["dropout"]])
def test_bf16(make):
    (plain,), _ = train(make, [None])
    assert not have_equal_weights(plain, assert_continues(1, make, precision="bf16"))


@pytest.mark.parametrize("make", MODULES.values(), ids=MODULES)
def test_a_member_of_a_stack_equals_one_that_is_trained_alone(make):
    _, members = train(make, [None] * 3, seeds=(4, 5, 6))
    for seed, member in zip((4, 5, 6), members, strict=True):
        _, (alone,) = train(make, [None], seeds=(seed,))
        last, last_alone = member.history[-1], alone.history[-1]
        assert last.test_loss == pytest.approx(last_alone.test_loss, rel=1e-4)
        assert last.train_loss == pytest.approx(last_alone.train_loss, rel=1e-5)


def test_the_process_random_numbers_are_neither_read_nor_changed():
    before = torch.get_rng_state()
    (first,), _ = train(MODULES["dropout"], [None])
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(9)
    (second,), _ = train(MODULES["dropout"], [None])
    assert have_equal_weights(first, second)
