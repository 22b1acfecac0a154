"""Random numbers of a seed: streams that do not depend on each other or on the architecture."""

from itertools import combinations

import pytest
import torch

from models import engines
from models.fast.step import FastTrainingStep
from models.fit import train_autoencoder
from models.random_streams import random_stream
from models.specs import ModelSpec
from tests.models.examples import IMAGES, recipe


def draw(seed, name, n=1_000):
    return torch.rand(n, generator=random_stream(seed, name), dtype=torch.double)


def test_a_stream_repeats_itself_and_leaves_the_global_state_alone():
    before = torch.get_rng_state()
    assert torch.equal(draw(3, "order"), draw(3, "order"))
    assert torch.equal(torch.get_rng_state(), before)


def test_streams_of_other_names_and_seeds_are_independent():
    drawn = [draw(seed, name) for seed in (0, 1, 2, 101) for name in ("order", "weights/a", "a")]
    for one, other in combinations(drawn, 2):
        assert abs(torch.corrcoef(torch.stack([one, other]))[0, 1]) < 0.13


@pytest.fixture
def batches(monkeypatch):
    """The batches of all trainings, in their order."""
    seen = []

    class Recording(FastTrainingStep):
        def __call__(self):
            seen.append(self.inputs.clone())
            super().__call__()

    monkeypatch.setattr(engines, "FastTrainingStep", Recording)
    return seen


def test_a_seed_gives_the_same_order_of_images_at_every_architecture(batches):
    orders = []
    for depth, latent_dim in ((1, 3), (2, 3), (2, 50), (3, 7)):
        batches.clear()
        spec = ModelSpec.written(depth=depth, latent_dim=latent_dim)
        train_autoencoder(spec, recipe(seed=4), IMAGES, IMAGES[:4])
        orders.append(torch.cat(batches, dim=1))
    assert all(torch.equal(order, orders[0]) for order in orders)
    batches.clear()
    train_autoencoder(spec, recipe(seed=5), IMAGES, IMAGES[:4])
    assert not torch.equal(torch.cat(batches, dim=1), orders[0])
