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
    the same direction whatever the number of turns, 2 for opposite ones. Its gradient by the
    predicted angle, (2 pi / 360) sin(2 pi (predicted - target) / 360), has no jump: a prediction
    of 359 for a target of 1 is pulled up through 360. Exactly 180 degrees apart the gradient is 0,
    up to rounding, because neither way is shorter; that maximum is unstable, so the smallest
    departure from it grows. Raises ValueError if the shapes differ or there are no angles.
    """
    if predicted.shape != target.shape:
        shapes = f"{tuple(predicted.shape)} and {tuple(target.shape)}"
        raise ValueError(f"predicted and target angles need the same shape, not {shapes}")
    if predicted.numel() == 0:
        raise ValueError("a mean needs at least one angle")
    # 2 sin^2(x / 2) is 1 - cos(x) without the cancellation that rounds small errors to 0.
    half = angle_difference(predicted, target) * (torch.pi / FULL_TURN)
    return 2 * torch.sin(half).square().mean()
