import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA as SklearnPCA  # noqa: N811

from models.measures.pca import fit_pca


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
