"""Losses for predicting an angle in degrees: the written study's, and one that respects 0 = 360."""

import torch
from torch import Tensor

FULL_TURN = 360.0  # degrees
RADIANS_PER_DEGREE = 2 * torch.pi / FULL_TURN
WRITTEN_RADIANS_PER_DEGREE = 2 * torch.pi / 180  # twice the right factor


def written_angle_loss(
    predicted: Tensor, target: Tensor, radians_per_degree: float = WRITTEN_RADIANS_PER_DEGREE
) -> Tensor:
    """The written study's loss min(diff, 2 pi - diff), for each angle; shapes broadcast.

    diff is the absolute difference of two angles in degrees, times ``radians_per_degree``: then the
    order of the two angles does not matter. With the right factor, 2 pi / 360, this is the shorter
    arc in radians if the angles are at most 360 degrees apart. It is negative where diff > 2 pi.
    """
    difference = (predicted - target).abs() * radians_per_degree
    return torch.minimum(difference, 2 * torch.pi - difference)


def angle_difference(predicted: Tensor, target: Tensor) -> Tensor:
    """Degrees from target to predicted by the shorter way, in [-180, 180]; shapes broadcast."""
    difference = predicted - target
    return difference - FULL_TURN * torch.round(difference / FULL_TURN)


def angle_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean of 1 - cos(2 pi (predicted - target) / 360) over angles in degrees of any one shape.

    Each angle's loss is half the squared distance between the two points on the unit circle: 0 for
    the same direction whatever the number of turns, 2 for opposite directions. Its gradient with
    respect to the predicted angle, (2 pi / 360) sin(2 pi (predicted - target) / 360), is
    continuous: for a target of 1, gradient descent increases a prediction of 359 through 360. At a
    difference of exactly 180 degrees the gradient is 0, up to rounding, because neither way is
    shorter; that maximum is unstable, so gradient descent leaves it after the smallest deviation.
    Raises ValueError if the shapes differ or there are no angles.
    """
    if predicted.shape != target.shape:
        shapes = f"{tuple(predicted.shape)} and {tuple(target.shape)}"
        raise ValueError(f"predicted and target angles must have the same shape, not {shapes}")
    if predicted.numel() == 0:
        raise ValueError("no angles are given; the mean loss needs at least one angle")
    # 2 sin^2(x / 2) equals 1 - cos(x), without the cancellation that rounds small errors to 0.
    half = angle_difference(predicted, target) * (RADIANS_PER_DEGREE / 2)
    return 2 * torch.sin(half).square().mean()
