"""A loss for predicting an angle in degrees, for which 0 and 360 are the same angle."""

import torch
from torch import Tensor

FULL_TURN = 360.0  # degrees


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
    half = angle_difference(predicted, target) * (torch.pi / FULL_TURN)
    return 2 * torch.sin(half).square().mean()
