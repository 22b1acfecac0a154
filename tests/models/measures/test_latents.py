import math

import numpy as np
import pytest
import torch

from models.measures.latents import (
    active_units,
    dead_units,
    effective_rank,
    images_fired_on,
    latent_correlation,
    principal_plane,
)
from tests.models.conftest import seeded


def correlation(latents, dead=None):
    dead = dead_units(latents) if dead is None else dead
    return latent_correlation(latents, dead, seeded())


def test_correlation_equals_numpys_and_leaves_dead_units_out():
    latents = torch.rand(50, 4, generator=seeded(1))
    latents[:, 1] = 2 * latents[:, 0] + latents[:, 1]
    live = correlation(latents)
    expected = np.corrcoef(latents.double().numpy().T)
    assert np.allclose(live.matrix, expected)
    pairs = np.abs(expected[np.triu_indices(4, 1)])
    assert live.mean_abs_live == pytest.approx(pairs.mean())
    assert live.mean_abs_nan_as_zero == pytest.approx(pairs.mean())
    with_dead = correlation(torch.cat([latents, torch.zeros(50, 1)], dim=1))
    assert with_dead.mean_abs_live == pytest.approx(pairs.mean())
    assert with_dead.mean_abs_nan_as_zero == pytest.approx(pairs.sum() / 10)
    assert with_dead.matrix[4].isnan().all()


def test_units_that_fire_on_hardly_any_image_do_not_lower_the_correlation():
    latents = torch.rand(10_000, 4, generator=seeded())
    latents[:, 1:] += latents[:, :1]
    rare = torch.zeros(10_000, 10)
    rare[range(10), range(10)] = 1.0
    both = torch.cat([latents, rare], dim=1)
    assert dead_units(both).tolist() == [False] * 4 + [True] * 10
    assert images_fired_on(both).tolist()[4:] == [1] * 10
    assert correlation(both).mean_abs_live == pytest.approx(correlation(latents).mean_abs_live)
    as_if_live = correlation(both, torch.zeros(14, dtype=torch.bool)).mean_abs_live
    assert as_if_live < correlation(latents).mean_abs_live / 2  # the artefact


@pytest.mark.parametrize(
    ("n", "fires_on", "dead"),
    [(500, 2, True), (500, 3, False), (60_000, 59, True), (60_000, 60, False)],
)
def test_a_unit_is_dead_below_three_images_and_below_a_thousandth(n, fires_on, dead):
    latents = torch.zeros(n, 1)
    latents[:fires_on] = 1
    assert dead_units(latents).tolist() == [dead]


def test_correlation_without_pairs_is_nan():
    found = correlation(torch.rand(9, 1))
    assert math.isnan(found.mean_abs_live)
    assert math.isnan(found.mean_abs_nan_as_zero)
    assert math.isnan(found.mean_abs_shuffled)


def test_independent_units_have_the_correlation_of_shuffled_ones():
    latents = torch.randn(360, 20, generator=seeded(3))
    found = correlation(latents)
    floor = math.sqrt(2 / math.pi / 360)  # the mean of |r| of independent normal values
    assert found.mean_abs_shuffled == pytest.approx(floor, rel=0.1)
    assert found.mean_abs_live == pytest.approx(floor, rel=0.1)
    alike = correlation(latents + 3 * latents[:, :1])
    assert alike.mean_abs_live > 0.8
    assert alike.mean_abs_shuffled == pytest.approx(floor, rel=0.15)


def rotated(latents):
    axes = torch.linalg.qr(torch.randn(len(latents.T), len(latents.T), generator=seeded(9)))[0]
    return latents @ axes


def test_a_rotation_changes_the_mean_correlation_and_not_the_effective_rank():
    latents = torch.randn(2_000, 8, generator=seeded(4)) * torch.arange(1.0, 9)
    assert correlation(latents).mean_abs_live < 0.04
    assert correlation(rotated(latents)).mean_abs_live > 0.1
    assert effective_rank(rotated(latents)) == pytest.approx(effective_rank(latents), rel=1e-5)
    assert effective_rank(latents * 7 + 3) == pytest.approx(effective_rank(latents), rel=1e-5)


def test_the_effective_rank_of_known_cases():
    equal = torch.randn(20_000, 6, generator=seeded(5))
    assert effective_rank(equal) == pytest.approx(6, rel=0.01)
    assert effective_rank(equal[:, :1].repeat(1, 6)) == pytest.approx(1, rel=1e-5)
    assert effective_rank(torch.cat([equal, torch.zeros(20_000, 5)], 1)) == pytest.approx(
        6, rel=0.01
    )
    assert effective_rank(torch.ones(10, 3)) == 0
    two_of_many = torch.cat([equal[:, :2], 1e-6 * equal[:, 2:]], 1)
    assert effective_rank(two_of_many) == pytest.approx(2, rel=0.01)


@pytest.mark.parametrize("d", [2, 5])
def test_the_principal_plane_equals_numpys_up_to_sign(d):
    latents = torch.randn(40, d, generator=torch.Generator().manual_seed(2))
    latents = latents @ torch.diag(torch.arange(1.0, d + 1)) + 7
    centered = latents.double().numpy() - latents.double().numpy().mean(0)
    _, _, axes = np.linalg.svd(centered, full_matrices=False)
    expected = centered @ axes[:2].T
    plane = principal_plane(latents).numpy()
    assert plane.shape == (40, 2)
    signs = np.sign((plane * expected).sum(0))
    assert np.allclose(plane * signs, expected)


def test_the_principal_plane_of_one_coordinate_has_zeros_in_the_second_column():
    plane = principal_plane(torch.tensor([[1.0], [2.0], [6.0]]))
    assert plane[:, 1].tolist() == [0, 0, 0]
    assert (plane[:, 0] * plane[2, 0].sign()).tolist() == pytest.approx([-2, -1, 3])


def test_active_units_vary_over_images():
    means = torch.randn(2_000, 3, generator=seeded()) * torch.tensor([1.0, 0.2, 0.05])
    assert active_units(means + 5).tolist() == [True, True, False]
    assert not active_units(torch.full((10, 2), 7.0)).any()
