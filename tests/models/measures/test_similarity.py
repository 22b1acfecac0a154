import math

import pytest
import torch

from models.measures.similarity import cka_matrix, linear_cka, shuffled_cka
from tests.models.conftest import seeded


def features(n=500, d=6, seed=0):
    return torch.randn(n, d, generator=seeded(seed))


def test_rotations_one_factor_and_a_shift_change_nothing():
    x = features()
    axes = torch.linalg.qr(features(6, 6, 1))[0]
    assert linear_cka(x, 3 * x @ axes + 5) == pytest.approx(1)
    assert linear_cka(x, x * torch.tensor([9.0, 1, 1, 1, 1, 1])) < 0.6


def test_independent_features_are_not_similar():
    assert linear_cka(features(5_000), features(5_000, 4, 1)) < 0.005


def test_the_share_of_what_two_have_in_common_is_known():
    """Of orthonormal columns, 6 and 4 with 2 in both: |y'x|^2 = 2, |x'x| = sqrt 6."""
    basis = torch.linalg.qr(features(200, 9) - features(200, 9).mean(0))[0]
    basis = torch.linalg.qr(torch.cat([torch.ones(200, 1), basis], 1))[0][:, 1:]  # centered
    assert linear_cka(basis[:, :6], basis[:, 4:8]) == pytest.approx(2 / math.sqrt(6 * 4), rel=1e-5)


def test_more_features_than_images_are_compared_the_same_way():
    x = features(20, 60)
    axes = torch.linalg.qr(features(60, 60, 1))[0]
    assert linear_cka(x, x @ axes) == pytest.approx(1)


def test_constant_features_have_no_similarity():
    matrix = cka_matrix([features(), torch.full((500, 3), 0.1), features(seed=2)])
    assert matrix[1].isnan().all()
    assert matrix[0, 0] == matrix[2, 2] == 1
    assert torch.equal(matrix[0::2, 0::2], matrix[0::2, 0::2].T)


def test_shuffled_images_have_nothing_in_common():
    few, many = (shuffled_cka([features(n)] * 2, seeded()) for n in (20, 5_000))
    assert many < 0.005 < few
    assert math.isnan(shuffled_cka([features()], seeded()))
