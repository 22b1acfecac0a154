import math

import pytest
import torch
from torch import nn

from models.measures.decoded_latents import ROWS, ablation_losses, spherical_line, traversal
from tests.models.conftest import seeded


class Decoder(nn.Module):
    """Images of 1 x 1 x 2 pixels: the first two units; the third is ignored."""

    def forward(self, z):
        return z[:, :2].reshape(-1, 1, 1, 2)


def test_an_ablation_costs_the_variance_of_the_unit():
    images = torch.randint(0, 256, (50, 1, 1, 2), generator=seeded(), dtype=torch.uint8)
    pixels = images.flatten(1) / 255
    latents = torch.cat([pixels, torch.rand(50, 1, generator=seeded(1))], 1)
    found = ablation_losses(Decoder(), latents, images)
    expected = pixels.double().var(0, correction=0) / 2  # of two pixels one is wrong
    assert found[:2].tolist() == pytest.approx(expected.tolist(), rel=1e-4)
    assert found[2] == 0


def test_constant_units_cost_nothing_and_parts_do_not_matter():
    n = ROWS // 2 + 1
    images = torch.randint(0, 256, (n, 1, 1, 2), generator=seeded(), dtype=torch.uint8)
    latents = images.flatten(1) / 255
    latents[:, 1] = 0.5
    found = ablation_losses(Decoder(), latents, images)
    assert found[0] > 0
    assert found[1] == 0
    assert ablation_losses(Decoder(), torch.zeros(n, 2), images).tolist() == [0, 0]


def test_a_traversal_changes_one_unit_over_its_quantiles():
    latents = torch.stack([torch.linspace(0, 1, 101), torch.full((101,), 0.25)], 1)
    pixels = traversal(Decoder(), latents, unit=0, steps=3).flatten(1)
    assert pixels[:, 0].tolist() == pytest.approx([0.01, 0.5, 0.99])
    assert pixels[:, 1].tolist() == pytest.approx([0.25] * 3)
    other = traversal(Decoder(), latents, unit=1, steps=3).flatten(1)
    assert other[:, 0].tolist() == pytest.approx([0.5] * 3)  # nearest to the mean


def test_the_middle_of_an_arc_is_on_it():
    points = spherical_line(torch.tensor([2.0, 0]), torch.tensor([0.0, 2]), 3)
    assert points[1].tolist() == pytest.approx([math.sqrt(2)] * 2)
    assert points[[0, 2]].tolist() == [pytest.approx([2, 0]), pytest.approx([0, 2], abs=1e-6)]
    assert points.norm(dim=1).tolist() == pytest.approx([2] * 3)


def test_angles_on_an_arc_grow_evenly():
    start, end = torch.randn(2, 7, generator=seeded())
    end *= start.norm() / end.norm()
    points = spherical_line(start, end, 6)
    cosines = torch.cosine_similarity(points[1:], points[:-1])
    assert cosines.tolist() == pytest.approx([float(cosines[0])] * 5, rel=1e-4)


@pytest.mark.parametrize("end", [[0.0, 0.0], [3.0, 0.0], [-1.0, 0.0], [1.0, 0.0]])
def test_vectors_that_span_no_plane_have_the_straight_line(end):
    points = spherical_line(torch.tensor([1.0, 0]), torch.tensor(end), 3)
    assert points[:, 0].tolist() == pytest.approx([1, (1 + end[0]) / 2, end[0]])
