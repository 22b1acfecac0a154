import math

import pytest
import torch

from models.measures.feature_distances import RealFeatures
from tests.models.conftest import seeded


def normal(n, shift=0.0, scale=1.0, seed=0, d=6):
    return torch.randn(n, d, generator=seeded(seed)) * scale + shift


def test_the_kernel_distance_by_hand():
    real = torch.tensor([[1.0, 1.0], [1.0, -1.0]])  # their root mean square is 1
    shown = torch.tensor([[1.0, 1.0], [2.0, 0.0], [0.0, 0.0]])
    within = (2**3 + 1 + 1) / 3  # kernels of (1, 1) with (2, 0), and of (0, 0) with both
    between = ((2**3 + 1) + (2**3 + 2**3) + (1 + 1)) / 6
    found = RealFeatures(real).kernel_distance(shown)
    assert found == pytest.approx(within + 1 - 2 * between)


def test_the_kernel_distance_is_unbiased():
    found = [
        RealFeatures(normal(12, seed=2 * seed)).kernel_distance(normal(9, seed=2 * seed + 1))
        for seed in range(400)
    ]
    mean, error = sum(found) / 400, torch.tensor(found).std().item() / 20
    assert abs(mean) < 3 * error
    assert min(found) < 0 < max(found)


def test_the_kernel_distance_grows_with_shift_and_scale_and_ignores_units():
    real = RealFeatures(normal(200))
    shifts = [real.kernel_distance(normal(200, shift=x, seed=1)) for x in (0, 0.3, 0.6, 1)]
    assert shifts == sorted(shifts)
    scales = [real.kernel_distance(normal(200, scale=x, seed=1)) for x in (1, 1.5, 2)]
    assert scales == sorted(scales)
    thousandfold = RealFeatures(normal(200) * 1_000)
    found = thousandfold.kernel_distance(normal(200, shift=1, seed=1) * 1_000)
    assert found == pytest.approx(shifts[-1], rel=1e-4)


def test_precision_and_recall_by_hand():
    real = torch.tensor([[0.0], [1.0], [2.0], [3.0], [10.0]])  # radii 3, 2, 2, 3, 9
    shown = torch.tensor([[-2.9], [-3.1], [5.9], [19.1], [100.0]])
    measured = RealFeatures(real)
    assert measured.precision(shown) == pytest.approx(
        2 / 5
    )  # -2.9 is near 0; 5.9 is near 10; -3.1 near none
    assert measured.precision(shown[1:2]) == 0
    assert measured.precision(shown[:1]) == 1
    narrow = torch.tensor([[0.0], [0.1], [0.2], [0.3]])
    assert measured.recall(narrow) == pytest.approx(1 / 5)
    assert measured.recall(real) == 1


def test_few_images_have_no_measure():
    one, three = normal(1), normal(3)
    real = RealFeatures(normal(8, seed=1))
    assert math.isnan(real.kernel_distance(one))
    assert math.isfinite(real.precision(one))
    assert math.isnan(real.recall(three))
    assert math.isnan(RealFeatures(one).kernel_distance(three))
    assert math.isnan(RealFeatures(three).precision(one))


def test_features_that_are_all_zero_make_no_error():
    real = RealFeatures(torch.zeros(8, 3))
    assert real.kernel_distance(torch.zeros(8, 3)) == 0
    assert real.precision(torch.ones(8, 3)) == 0
