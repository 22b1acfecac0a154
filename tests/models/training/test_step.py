import torch

from models.training.step import fill


def test_uint8_images_become_values_from_0_to_1():
    target = torch.zeros(2, 3, 4)
    fill(target, torch.full((1, 3, 2, 2), 51, dtype=torch.uint8))
    assert torch.allclose(target, torch.tensor(0.2))


def test_other_values_are_copied():
    target = torch.zeros(2, 3, 4)
    fill(target, torch.full((2, 3, 4), 51.0))
    assert target.eq(51).all()
