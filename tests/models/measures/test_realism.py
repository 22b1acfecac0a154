import math

import pytest
import torch
from torch.nn import functional

from models.measures.realism import gradient_energy, nearest_distance, sharpness_distance


def test_blur_lowers_the_gradient_energy_of_every_image():
    images = torch.rand(6, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    images[3:] = (images[3:] > 0.8).float()
    blurred = functional.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    more = functional.avg_pool2d(blurred, 3, stride=1, padding=1, count_include_pad=False)
    assert (gradient_energy(blurred) < gradient_energy(images)).all()
    assert (gradient_energy(more) < gradient_energy(blurred)).all()


def test_gradient_energy_by_hand():
    dot = torch.tensor([[0, 1, 0], [0, 0, 0.0]])  # two of four steps across, one of three down
    assert gradient_energy(dot[None, None]).item() == pytest.approx(2 / 4 + 1 / 3)
    assert gradient_energy(dot.T[None, None]).item() == pytest.approx(2 / 4 + 1 / 3)
    found = gradient_energy(torch.stack([dot, dot / 2, torch.full_like(dot, 0.7)])[:, None])
    assert found.tolist() == pytest.approx([5 / 6, 5 / 24, 0])
    both = torch.stack([dot, torch.zeros_like(dot)])[None]  # a mean over channels
    assert gradient_energy(both).item() == pytest.approx(5 / 12)


def test_images_are_as_far_from_real_ones_if_they_are_twice_or_half_as_rough():
    real = torch.zeros(2, 1, 8, 8)
    real[:, :, 3, 3] = 0.5
    assert sharpness_distance(real, real) == 0
    assert sharpness_distance(real * 2, real) == pytest.approx(math.log(4))
    assert sharpness_distance(real / 2, real) == pytest.approx(math.log(4))
    rough = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert sharpness_distance(rough, real) > 1
    flat = sharpness_distance(torch.zeros(2, 1, 8, 8), real)
    assert flat == sharpness_distance(torch.full((2, 1, 8, 8), 0.3), real)
    assert 1 < flat < math.inf


def test_the_nearest_image_is_found_among_thousands():
    generator = torch.Generator().manual_seed(0)
    reference = torch.randint(0, 256, (8_100, 3, 4, 5), dtype=torch.uint8, generator=generator)
    images = torch.rand(30, 3, 4, 5, generator=generator)
    close = torch.tensor([5, 3_999, 4_000, 8_099])  # in every part, and at its ends
    images[:4] = (reference[close].float() / 255 + 0.02).clamp_max(1)
    apart = images.double().unsqueeze(1) - reference.double() / 255
    expected = apart.square().mean((2, 3, 4)).sqrt()
    assert expected[:4].argmin(1).tolist() == close.tolist()
    found = nearest_distance(images, reference)
    assert found.tolist() == pytest.approx(expected.amin(1).tolist(), rel=1e-4)


@pytest.mark.parametrize(("size", "rounding"), [(10, 0), (5_000, 1e-3)])
def test_a_member_of_the_reference_has_distance_zero(size, rounding):
    generator = torch.Generator().manual_seed(0)
    reference = torch.randint(0, 256, (size, 1, 28, 28), dtype=torch.uint8, generator=generator)
    found = nearest_distance(reference[-8:].float() / 255, reference)
    assert found.tolist() == pytest.approx([0] * 8, abs=rounding)
    other = 1 - reference[-1:].float() / 255
    assert nearest_distance(other, reference).item() > 0.1
