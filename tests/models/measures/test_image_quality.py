import math

import pytest
import torch

from models.measures.image_quality import PART, image_quality
from tests.models.conftest import seeded


def images(n=5, shape=(1, 28, 28)):
    return torch.randint(0, 256, (n, *shape), generator=seeded(), dtype=torch.uint8)


def test_equal_images_have_no_noise_and_structure_of_one():
    found = image_quality(images(), images() / 255)
    assert found.psnr == math.inf
    assert found.ssim == pytest.approx(1)


def test_psnr_of_a_known_error():
    grey = torch.full((3, 1, 16, 16), 51, dtype=torch.uint8)  # 0.2
    assert image_quality(grey, torch.full((3, 1, 16, 16), 0.3)).psnr == pytest.approx(20, rel=1e-4)


def test_psnr_is_the_mean_over_images():
    grey = torch.zeros(2, 1, 16, 16, dtype=torch.uint8)
    rebuilt = torch.stack([torch.full((1, 16, 16), 0.1), torch.full((1, 16, 16), 0.01)])
    assert image_quality(grey, rebuilt).psnr == pytest.approx((20 + 40) / 2, rel=1e-4)


def test_ssim_of_constant_images_is_that_of_their_means():
    black, grey = torch.zeros(1, 1, 16, 16, dtype=torch.uint8), torch.full((1, 1, 16, 16), 0.5)
    c = 0.01**2
    assert image_quality(black, grey).ssim == pytest.approx(c / (0.25 + c), rel=1e-4)


def test_noise_lowers_both_and_parts_do_not_matter():
    real = images(PART + 7, (3, 12, 12))
    noise = torch.randn(real.shape, generator=seeded(1))
    found = [image_quality(real, real / 255 + s * noise) for s in (0.01, 0.1)]
    assert found[0].psnr > found[1].psnr
    assert found[0].ssim > found[1].ssim
    halves = [image_quality(one, one / 255 + 0.1) for one in (real[:PART], real[PART:])]
    whole = image_quality(real, real / 255 + 0.1)
    weighted = (PART * halves[0].ssim + 7 * halves[1].ssim) / len(real)
    assert whole.ssim == pytest.approx(weighted, rel=1e-4)


def test_images_smaller_than_the_window_have_no_ssim():
    assert image_quality(images(2, (1, 8, 8)), images(2, (1, 8, 8)) / 255 + 0.1).ssim is None
