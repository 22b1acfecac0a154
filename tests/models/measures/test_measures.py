import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA as SklearnPCA  # noqa: N811

from models.measures.classification import confusion_matrix
from models.measures.latents import dead_units, latent_correlation, principal_plane
from models.measures.learning_curves import epochs_to_converge
from models.measures.pca import fit_pca


def test_linear_limit_matches_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    mixing = torch.rand(12, 12, generator=generator)
    train, test = (
        (torch.rand(n, 12, generator=generator) @ mixing * 40).to(torch.uint8) for n in (80, 30)
    )
    ours = fit_pca(train, test)
    train, test = train.double() / 255, test.double() / 255
    for size in (1, 4, 11):
        reference = SklearnPCA(size, svd_solver="full").fit(train.numpy())
        rebuilt = reference.inverse_transform(reference.transform(test.numpy()))
        expected = np.square(rebuilt - test.numpy()).mean()
        assert ours.test_loss[size].item() == pytest.approx(expected, rel=1e-9)
    mean_image = (test - train.mean(0)).square().mean()
    assert ours.test_loss[0].item() == pytest.approx(mean_image.item())
    assert ours.test_loss[12].item() == pytest.approx(0, abs=1e-12)


def test_correlation_matches_numpy_and_counts_dead_units():
    latents = torch.rand(50, 4, generator=torch.Generator().manual_seed(1))
    latents[:, 1] = 2 * latents[:, 0] + latents[:, 1]
    live = latent_correlation(latents)
    expected = np.corrcoef(latents.double().numpy().T)
    assert np.allclose(live.matrix, expected)
    pairs = np.abs(expected[np.triu_indices(4, 1)])
    assert live.mean_abs_live == pytest.approx(pairs.mean())
    assert live.mean_abs_nan_as_zero == pytest.approx(pairs.mean())
    with_dead = torch.cat([latents, torch.zeros(50, 1)], dim=1)
    assert dead_units(with_dead).tolist() == [False] * 4 + [True]
    found = latent_correlation(with_dead)
    assert found.dead_units == 1
    assert found.mean_abs_live == pytest.approx(pairs.mean())
    assert found.mean_abs_nan_as_zero == pytest.approx(pairs.sum() / 10)
    assert found.matrix[4].isnan().all()


def test_correlation_without_pairs_is_undefined():
    found = latent_correlation(torch.rand(9, 1))
    assert math.isnan(found.mean_abs_live)
    assert math.isnan(found.mean_abs_nan_as_zero)


def test_confusion_matrix_has_true_classes_in_rows():
    counts = confusion_matrix(torch.tensor([1, 1, 0]), torch.tensor([0, 1, 0]), 2)
    assert counts.tolist() == [[1, 1], [0, 1]]


@pytest.mark.parametrize(
    ("losses", "epochs"),
    [
        ([1.0, 0.5, 0.2, 0.1], 3.9),  # 0.11 lies nine tenths of the way from 0.2 to 0.1
        ([1.0, 0.1, 0.5, 0.1], 3.975),  # the first time below it is not the last
        ([0.5, 0.3, 0.1, 0.2], 2.4),
        ([0.7], 1),
        ([0.109, 0.1, 0.1], 1),
        ([0.1, 0.2, 0.3], 1),
        ([0.2, 0.0, 0.0], 2),
    ],
)
def test_convergence_is_when_the_loss_comes_near_its_last_value_to_stay(losses, epochs):
    assert epochs_to_converge(losses) == pytest.approx(epochs)


def test_convergence_to_another_share():
    assert epochs_to_converge([1.0, 0.5, 0.2, 0.1], share=0.5) == pytest.approx(3.5)


@pytest.mark.parametrize("d", [2, 5])
def test_the_principal_plane_is_numpys_up_to_sign(d):
    latents = torch.randn(40, d, generator=torch.Generator().manual_seed(2))
    latents = latents @ torch.diag(torch.arange(1.0, d + 1)) + 7
    centered = latents.double().numpy() - latents.double().numpy().mean(0)
    _, _, axes = np.linalg.svd(centered, full_matrices=False)
    expected = centered @ axes[:2].T
    found = principal_plane(latents).numpy()
    assert found.shape == (40, 2)
    signs = np.sign((found * expected).sum(0))
    assert np.allclose(found * signs, expected)


def test_the_principal_plane_of_a_single_coordinate_is_flat():
    latents = torch.tensor([[1.0], [2.0], [6.0]])
    found = principal_plane(latents)
    assert found[:, 1].tolist() == [0, 0, 0]
    assert (found[:, 0] * found[2, 0].sign()).tolist() == pytest.approx([-2, -1, 3])
