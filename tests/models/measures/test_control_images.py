import pytest
import torch

from models.measures.control_images import control_images, gaussian_blur
from tests.models.conftest import seeded

REAL = torch.rand(5, 3, 28, 20, generator=seeded()) ** 3
MEAN = REAL.mean(0)


def test_every_set_has_as_many_images_as_there_are_real_ones():
    found = control_images(REAL, MEAN, seeded(1))
    for images in found.values():
        assert images.shape == REAL.shape
        assert images.dtype == torch.float32
        assert 0 <= images.min() <= images.max() <= 1
    assert (found["mean"] == MEAN).all()
    assert found["black"].sum() == 0
    assert found["checkerboard"][4].mean() == pytest.approx(0.5, abs=0.02)
    assert (found["checkerboard"][0, :, :4, :4] == 0).all()
    assert (found["checkerboard"][0, :, :4, 4:8] == 1).all()


def test_shuffled_images_keep_their_pixels_and_noise_is_uniform():
    found = control_images(REAL, MEAN, seeded(1))
    shuffled, real = (images.flatten(2).movedim(1, 2) for images in (found["shuffled"], REAL))
    for moved, pixels in zip(shuffled.tolist(), real.tolist(), strict=True):
        assert sorted(moved) == sorted(pixels)  # each pixel with its channels
    shuffled, real = shuffled[..., 0], real[..., 0]
    assert not (shuffled == real).all(1).any()
    assert not (shuffled.argsort(1)[0] == shuffled.argsort(1)[1]).all()
    assert found["noise"].mean() == pytest.approx(0.5, abs=0.02)
    assert found["noise"].var() == pytest.approx(1 / 12, rel=0.05)
    again = control_images(REAL, MEAN, seeded(1))
    assert all((again[name] == images).all() for name, images in found.items())


def test_the_blur_of_a_point_is_a_gaussian():
    point = torch.zeros(1, 2, 28, 28)
    point[0, 1, 10, 14] = 1
    other, blurred = gaussian_blur(point, 1.5)[0]
    assert not other.any()
    assert blurred.sum() == pytest.approx(1)
    rows = torch.arange(28.0)
    assert (blurred.sum(1) * (rows - 10) ** 2).sum() == pytest.approx(1.5**2, rel=0.01)
    assert (blurred.sum(0) * (rows - 14) ** 2).sum() == pytest.approx(1.5**2, rel=0.01)
    assert (gaussian_blur(torch.ones(1, 1, 28, 28), 1.0)[0, 0, 8:20, 8:20] - 1).abs().max() < 1e-5
