import math

import pytest

from models.theory import chain_rules
from models.theory.chain_rules import SmoothFunction
from tests.models.conftest import double


def linear(*w):
    return SmoothFunction(double(w), double([0]), double([[0] * len(w)]), double([0]))


SINE = SmoothFunction(double([0]), double([1]), double([[1]]), double([0]))


def test_chain_rules_by_hand():
    x, y, z = double([0.3, 0.5, 0.7])
    f, g, h = linear(2), linear(3), linear(5)
    assert chain_rules.shared_input(linear(2, 3, 5), x, y, z).item() == pytest.approx(6.9)
    assert chain_rules.shared_input_by_x(linear(2, 3, 5), x, y, z).item() == 8
    assert chain_rules.nested([SINE, f], x).item() == pytest.approx(math.sin(0.6))
    assert chain_rules.nested_by_x([SINE, f], x).item() == pytest.approx(2 * math.cos(0.6))
    assert chain_rules.nested_by_x([f, SINE], x).item() == pytest.approx(2 * math.cos(0.3))
    assert chain_rules.nested_by_x([SINE], x).item() == pytest.approx(math.cos(0.3))
    chain = [linear(1, 3), linear(2, 5), SINE]
    inner = 0.6 + 5 * math.sin(0.3)
    assert chain_rules.nested_with_input(chain, x).item() == pytest.approx(0.3 + 3 * inner)
    slope = 1 + 3 * (2 + 5 * math.cos(0.3))
    assert chain_rules.nested_with_input_by_x(chain, x).item() == pytest.approx(slope)
    alone = chain_rules.nested_with_input_by_x([SINE], x)
    assert alone.item() == pytest.approx(math.cos(0.3))
    assert chain_rules.nested_sums(f, g, h, x).item() == pytest.approx(2 * 0.3 * (1 + 3 * 6))
    assert chain_rules.nested_sums_by_x(f, g, h, x).item() == 2 * (1 + 3 * 6)
