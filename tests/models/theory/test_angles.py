import math

import pytest
import torch

from models.theory.angles import (
    RADIANS_PER_DEGREE,
    angle_difference,
    angle_loss,
    written_angle_loss,
)
from models.theory.calculus import gradient_descent
from tests.models.conftest import double, seeded


def test_angle_loss_is_half_the_squared_distance_on_the_circle():
    predicted = 720 * torch.rand(2, 3, generator=seeded(), dtype=torch.double)
    target = 720 * torch.rand(2, 3, generator=seeded(1), dtype=torch.double)
    points = [torch.polar(torch.ones_like(angle), angle.deg2rad()) for angle in (predicted, target)]
    expected = ((points[0] - points[1]).abs().square() / 2).mean().item()
    assert angle_loss(predicted, target).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("predicted", "target"),
    [
        ([359], [1]),
        ([1], [359]),
        ([0], [360]),
        ([360], [0]),
        ([180], [0]),
        ([[271, 5]], [[90, -6]]),
    ],
)
def test_the_gradient_of_the_angle_loss_equals_finite_differences(predicted, target):
    angles = double(predicted).requires_grad_(), double(target).requires_grad_()
    assert torch.autograd.gradcheck(angle_loss, angles)


@pytest.mark.parametrize(
    ("predicted", "target", "end"),
    [(359, 1, 361), (1, 359, -1), (180.001, 0, 360), (179.999, 0, 0), (-10, 700, -20)],
)
def test_descent_on_the_angle_loss_goes_the_shorter_way(predicted, target, end):
    target = double([target])
    found = gradient_descent(
        lambda angle: angle_loss(angle, target), double([predicted]), 3000, 1e-20, 200
    )
    assert found.stopped
    assert found.theta.item() == pytest.approx(end, abs=1e-6)


def test_angle_loss_of_opposite_equal_and_nearly_equal_angles():
    angle = double([90]).requires_grad_()
    loss = angle_loss(angle, double([270]))
    loss.backward()
    assert loss.item() == 2
    assert angle.grad.item() == pytest.approx(0, abs=1e-15)
    assert angle_loss(double([0, 360, -720]), double([360, 0, 1080])).item() == 0
    tiny = angle_loss(double([360]), double([1e-9])).item()
    assert tiny == pytest.approx(math.radians(1e-9) ** 2 / 2, rel=1e-3, abs=0)


@pytest.mark.parametrize(
    ("predicted", "target"), [((3,), (3, 1)), ((1,), ()), ((2, 3), (3,)), ((0,), (0,))]
)
def test_angles_of_different_shapes_or_no_angles_are_errors(predicted, target):
    with pytest.raises(ValueError, match=r"same shape|at least one"):
        angle_loss(torch.zeros(predicted), torch.zeros(target))


def test_angle_difference_goes_the_shorter_way():
    predicted, target = double([359, 1, 0, 725, 90]), double([1, 359, 360, 0, 180])
    assert angle_difference(predicted, target).tolist() == [-2, 2, 0, 5, -90]
    assert angle_difference(double([190]), double([0, 10])).abs().tolist() == [170, 180]


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    ("predicted", "target", "as_written", "with_right_factor"),
    [
        (2, 360, -6.2134, 0.0349),
        (0, 2, 0.0698, 0.0349),
        (0, 360, -6.2832, 0),
        (0, 90, 3.1416, 1.5708),
        (0, 180, 0, 3.1416),
        (725, 5, -18.8496, -6.2832),
    ],
)
def test_the_loss_as_written_in_any_order_of_the_angles(
    swapped, predicted, target, as_written, with_right_factor
):
    angles = (double([predicted]), double([target]))[:: -1 if swapped else 1]
    assert written_angle_loss(*angles).item() == pytest.approx(as_written, abs=5e-5)
    found = written_angle_loss(*angles, RADIANS_PER_DEGREE)
    assert found.item() == pytest.approx(with_right_factor, abs=5e-5)
