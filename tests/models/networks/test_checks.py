import pytest
import torch
from torch import nn

from models.networks.checks import check_networks
from models.specs import ConfigError

SHAPE, D = (3, 4, 6), 5


class Own(nn.Module):
    """A linear layer, then any function of its outputs."""

    def __init__(self, inputs, outputs, then=lambda x: x):
        super().__init__()
        self.layer, self.then = nn.Linear(inputs, outputs), then

    def forward(self, x):
        return self.then(self.layer(x.flatten(1)))


def encoder(then=lambda x: x):
    return Own(72, D, then)


def decoder(then=torch.sigmoid):
    return nn.Sequential(Own(D, 72, then), nn.Unflatten(1, SHAPE))


def check(first=None, second=None):
    return check_networks(first or encoder(), second or decoder(), SHAPE, D, D, ("E", "D"))


def raise_error(x):
    raise RuntimeError("two\nlines")


def test_networks_that_fit_are_left_as_they_were():
    first = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(), encoder())
    second = decoder()
    before = torch.get_rng_state()
    first.train()
    assert check(first, second) == []
    assert first.training
    assert int(first[0].num_batches_tracked) == 0
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (Own(72, 6), None, "E returned 3x6 for inputs of 3x3x4x6; 3x5 is needed"),
        (encoder(lambda x: x.flatten()), None, "E returned 15 for"),
        (encoder(lambda x: (x, x)), None, "E returned a tuple, not a tensor"),
        (encoder(lambda x: x.double()), None, "E returned float64; return float32"),
        (encoder().double(), None, "E has parameters of float64; make them float32"),
        (encoder(lambda x: x / 0), None, "E returned numbers that are not finite"),
        (nn.Flatten(), None, "E has no parameters that could be trained"),
        (encoder().requires_grad_(False), None, "E has no parameters that could be trained"),
        (encoder(raise_error), None, f"{__file__}, line 35: RuntimeError: two\\nlines"),
        (nn.Conv2d(1, 5, 3), None, "E cannot take inputs of 3x3x4x6: RuntimeError: Given groups=1"),
        (None, Own(D, 72), "D returned 3x72 for inputs of 3x5; 3x3x4x6 is needed"),
    ],
)
def test_a_mistake_is_one_line(first, second, message):
    with pytest.raises(ConfigError) as found:
        check(first, second)
    assert message in str(found.value)
    assert "\n" not in str(found.value)


def test_outputs_outside_of_images_are_a_note():
    second = decoder(lambda x: x + 10)
    (note,) = check(None, second)
    assert note.startswith("D returns values outside [0, 1] (")


def test_a_network_that_fails_only_in_training_is_found():
    class Late(Own):
        def forward(self, x):
            return raise_error(x) if self.training else super().forward(x)

    with pytest.raises(ConfigError, match="cannot take inputs"):
        check(Late(72, D))
