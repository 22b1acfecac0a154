import random

import numpy as np
import pytest
import torch
from torch import nn

from models.networks.factories import call_factory, parameter_bytes, place_of
from models.specs import ConfigError


def encoder(image_shape, outputs, *, width=4):
    return nn.Sequential(nn.Flatten(), nn.Linear(image_shape[1] * image_shape[2], outputs))


def raises(image_shape, outputs):
    raise KeyError("width")


def raises_inside_torch(image_shape, outputs):
    return nn.Linear(-1, outputs)


def draws(image_shape, outputs):
    made = nn.Linear(2, 2)
    made.drawn = [float(torch.rand(())), random.random(), float(np.random.rand())]
    return made


def line_after(function):
    return f"{__file__}, line {function.__code__.co_firstlineno + 1}"


def call(factory, **options):
    return call_factory(factory, "nets.py:it", (1, 4, 4), 3, options=options, seed=1)


def test_a_network_is_made_with_its_options():
    assert call(encoder, width=9)[1].out_features == 3


@pytest.mark.parametrize(
    ("factory", "options", "message"),
    [
        (encoder, {"wdith": 3}, "nets.py:it(image_shape, outputs, *, width=4) is called with the "
         "shape of the images, a size and wdith: got an unexpected option 'wdith' ("),
        (lambda a, b, c: 1, {}, "and no options: missing a required argument: 'c'"),
        (lambda a: 1, {}, "too many positional arguments"),
        (raises, {}, f"nets.py:it: {line_after(raises)}: KeyError: 'width'"),
        (raises_inside_torch, {}, f"{line_after(raises_inside_torch)}: RuntimeError: "),
        (lambda a, b: None, {}, "nets.py:it returned nothing, not a torch.nn.Module ("),
        (lambda a, b: 3, {}, "nets.py:it returned an int, not"),
        (lambda a, b: nn.ReLU, {}, "nets.py:it returned the class ReLU, not"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(factory, options, message):
    with pytest.raises(ConfigError) as found:
        call(factory, **options)
    assert message in str(found.value)
    assert "\n" not in str(found.value)


def test_random_numbers_follow_from_the_seed_and_global_generators_are_left_alone():
    torch.manual_seed(5), random.seed(5), np.random.seed(5)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    first, again = call(draws), call(draws)
    assert first.drawn == again.drawn
    assert torch.equal(first.weight, again.weight)
    other = call_factory(draws, "x", 1, 2, options={}, seed=torch.Generator().manual_seed(3))
    assert all(one != two for one, two in zip(first.drawn, other.drawn, strict=True))
    with pytest.raises(ConfigError):
        call(raises)
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


def test_the_size_is_known_without_the_memory():
    def huge(image_shape, outputs):
        return nn.Linear(10**9, 10**6)

    assert parameter_bytes(huge, 1, 2, options={}) == 4 * (10**15 + 10**6)
    assert parameter_bytes(raises, 1, 2, options={}) is None


def test_places():
    assert place_of(encoder) == f" ({__file__}, line {encoder.__code__.co_firstlineno})"
    assert place_of(len) == ""
