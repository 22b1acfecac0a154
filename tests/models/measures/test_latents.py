import math

import numpy as np
import pytest
import torch

from models.measures.latents import dead_units, latent_correlation, principal_plane


def test_correlation_equals_numpys_and_counts_dead_units():
    latents = torch.rand(50, 4, generator=torch.Generator().manual_seed(1))
    latents[:, 1] = 2 * latents[:, 0] + latents[:, 1]
    live = latent_correlation(latents)
    expected = np.corrcoef(latents.double().numpy().T)
    assert np.allclose(live.matrix, expected)
    pairs = np.abs(expected[np.triu_indices(4, 1)])
    assert live.mean_abs_live == pytest.approx(pairs.mean())
    assert live.mean_abs_nan_as_zero == pytest.approx(pairs.mean())
    latents_with_dead = torch.cat([latents, torch.zeros(50, 1)], dim=1)
    assert dead_units(latents_with_dead).tolist() == [False] * 4 + [True]
    with_dead = latent_correlation(latents_with_dead)
    assert with_dead.dead_units == 1
    assert with_dead.mean_abs_live == pytest.approx(pairs.mean())
    assert with_dead.mean_abs_nan_as_zero == pytest.approx(pairs.sum() / 10)
    assert with_dead.matrix[4].isnan().all()


def test_correlation_without_pairs_is_nan():
    correlation = latent_correlation(torch.rand(9, 1))
    assert math.isnan(correlation.mean_abs_live)
    assert math.isnan(correlation.mean_abs_nan_as_zero)


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
