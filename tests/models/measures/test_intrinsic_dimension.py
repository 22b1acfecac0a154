import pytest
import torch

from models.measures.latents import intrinsic_dimension
from tests.models.conftest import seeded


def embedded(points, into=20):
    axes = torch.linalg.qr(torch.randn(into, into, generator=seeded(1)))[0]
    return points @ axes[: points.shape[1]]


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_flat_surfaces_have_their_dimension(dimension):
    points = torch.rand(2_000, dimension, generator=seeded())
    assert intrinsic_dimension(embedded(points)) == pytest.approx(dimension, rel=0.05)


def test_a_gaussian_of_five_dimensions():
    points = torch.randn(2_000, 5, generator=seeded())
    assert intrinsic_dimension(embedded(points)) == pytest.approx(5, rel=0.1)


def test_a_curve_has_one_dimension_however_many_directions_it_takes():
    along = 6 * torch.rand(2_000, 1, generator=seeded())
    curve = torch.cat([along.cos(), along.sin(), (2 * along).cos()], 1)
    assert intrinsic_dimension(curve) == pytest.approx(1, rel=0.05)


def test_copies_and_one_factor_change_nothing():
    points = embedded(torch.rand(300, 2, generator=seeded()))
    found = intrinsic_dimension(points)
    assert intrinsic_dimension(torch.cat([points, points[:100]])) == pytest.approx(found)
    assert intrinsic_dimension(1e-3 * points) == pytest.approx(found, rel=1e-4)


@pytest.mark.parametrize(
    "latents",
    [torch.zeros(100, 4), torch.arange(9.0)[:, None], torch.arange(100.0)[:, None]],
    ids=["equal", "few", "grid"],
)
def test_what_has_no_dimension_is_none(latents):
    assert intrinsic_dimension(latents) is None
