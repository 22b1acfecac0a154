import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA as SklearnPCA  # noqa: N811

from models.measures.pca import fit_first, fit_pca, fit_randomized_pca
from tests.models.conftest import seeded


def test_test_losses_equal_those_of_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    mixing = torch.rand(12, 12, generator=generator)
    train, test = (
        (torch.rand(n, 12, generator=generator) @ mixing * 40).to(torch.uint8) for n in (80, 30)
    )
    pca = fit_pca(train, test)
    train, test = train.double() / 255, test.double() / 255
    for size in (1, 4, 11):
        reference = SklearnPCA(size, svd_solver="full").fit(train.numpy())
        reconstructed = reference.inverse_transform(reference.transform(test.numpy()))
        expected = np.square(reconstructed - test.numpy()).mean()
        assert pca.test_loss[size].item() == pytest.approx(expected, rel=1e-9)
    loss_of_mean_image = (test - train.mean(0)).square().mean()
    assert pca.test_loss[0].item() == pytest.approx(loss_of_mean_image.item())
    assert pca.test_loss[12].item() == pytest.approx(0, abs=1e-12)


def test_beyond_the_rank_of_the_training_images_the_loss_stays():
    generator = torch.Generator().manual_seed(1)
    small = torch.randint(0, 256, (60, 3), generator=generator)
    train = small.repeat_interleave(4, 1).to(torch.uint8)  # 12 pixels, of rank 3
    test = torch.randint(0, 256, (30, 12), generator=generator).to(torch.uint8)
    pca = fit_pca(train, test)
    assert pca.rank == 3
    assert (pca.test_loss[3:] == pca.test_loss[3]).all()
    assert pca.test_loss[3] < pca.test_loss[2]
    assert fit_pca(test[:5], test).rank == 4  # fewer images than pixels


def photographs(n, seed):
    """Smooth random images (n, 192) uint8: variances fall as in photographs."""
    noise = torch.randn(n, 3, 8, 8, generator=seeded(seed))
    frequency = torch.fft.fftfreq(8).abs()
    falling = 1 / (0.05 + frequency.unsqueeze(1) + frequency)
    smooth = torch.fft.ifft2(torch.fft.fft2(noise) * falling).real
    return (128 + 8 * smooth).clamp(0, 255).flatten(1).byte()


@pytest.mark.parametrize("n", [3_000, 100])  # in several parts; fewer images than pixels
def test_randomized_components_lose_little_more_than_exact_ones(n):
    train, test = photographs(n, 1), photographs(500, 2)
    exact = fit_pca(train, test)
    found = fit_randomized_pca(train, test, 20, seeded())
    assert found.components.shape == (20, 192)
    assert found.test_loss.shape == (21,)
    assert found.test_loss.tolist() == pytest.approx(exact.test_loss[:21].tolist(), rel=1e-4)
    assert found.test_loss[20] < 0.6 * found.test_loss[0]
    overlap = found.components @ found.components.T
    assert (overlap - torch.eye(20)).abs().max() < 1e-5
    directions = (found.components[:5].double() * exact.components[:5]).sum(1).abs()
    assert directions.min() > 0.999
    assert found.rank == 20


def test_randomized_components_are_the_same_every_time():
    train, test = photographs(100, 1), photographs(50, 2)
    first, again = (fit_first(train, test, 5) for _ in range(2))
    assert torch.equal(first.test_loss, again.test_loss)
    assert torch.equal(fit_first(train, test, None).test_loss, fit_pca(train, test).test_loss)


def test_randomized_components_stop_at_the_rank():
    small = torch.randint(0, 256, (60, 3), generator=seeded())
    train = small.repeat_interleave(4, 1).to(torch.uint8)  # 12 pixels, of rank 3
    found = fit_randomized_pca(train, train, 8, seeded())
    assert found.rank == 3
    assert (found.test_loss[3:] == found.test_loss[3]).all()
    assert found.test_loss[3].item() == pytest.approx(0, abs=1e-6)
    assert fit_randomized_pca(train[:1], train, 8, seeded()).rank == 0
