import math

import pytest
import torch
from torch.autograd.functional import jacobian

from models.theory import chain_rules
from models.theory.chain_rules import SmoothFunction
from tests.models.conftest import double


def linear(*w):
    """A map of numbers to one number."""
    return matrix([list(w)])


def matrix(rows):
    """A linear map."""
    w = double(rows)
    return SmoothFunction(w, w[:, :1] * 0, w[:1] * 0, double([0]))


SINE = SmoothFunction(double([[0]]), double([[1]]), double([[1]]), double([0]))
# Two matrices whose products differ with the order: [[0, 2], [1, 0]] and [[1, 0], [0, 3]].
SWAP, STRETCH = [[0, 2], [1, 0]], [[1, 0], [0, 3]]


def test_chain_rules_of_numbers_by_hand():
    x, y, z = double([[0.3], [0.5], [0.7]])
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


def test_chain_rules_of_vectors_keep_the_order_of_the_factors():
    x, swap, stretch = double([0.3, 0.5]), matrix(SWAP), matrix(STRETCH)
    both = chain_rules.nested_by_x([swap, stretch], x)
    assert both.tolist() == [[0, 6], [1, 0]]
    assert chain_rules.nested_by_x([stretch, swap], x).tolist() == [[0, 2], [3, 0]]
    # swap (x + stretch (x + x)) = swap (I + 2 stretch) x
    sums = chain_rules.nested_sums_by_x(swap, stretch, matrix([[1, 0], [0, 1]]), x)
    assert sums.tolist() == [[0, 14], [3, 0]]
    # x + swap (x + stretch swap x): I + swap + swap stretch swap
    chain = [matrix([[1, 0, 0, 2], [0, 1, 1, 0]]), matrix([[1, 0, 1, 0], [0, 1, 0, 3]]), swap]
    assert chain_rules.nested_with_input_by_x(chain, x).tolist() == [[7, 2], [1, 3]]
    assert chain_rules.nested_with_input(chain, x).tolist() == pytest.approx([3.1, 1.8])


def test_the_jacobian_of_a_smooth_function_of_two_vectors():
    generator = torch.Generator().manual_seed(0)
    w, a, b = (torch.randn(2, n, generator=generator, dtype=torch.double) for n in (4, 2, 4))
    f, u, v = SmoothFunction(w, a, b, double([0.1, 0.2])), double([1, 2]), double([3, 4])
    found = torch.cat(jacobian(f, (u, v)), dim=1)
    assert f.jacobian(u, v).tolist() == [pytest.approx(row) for row in found.tolist()]
