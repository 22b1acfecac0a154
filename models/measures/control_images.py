"""Images that are surely not real. A measure of realism has to find that out."""

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d

BLUR = 1.0  # pixels, standard deviation of the Gaussian
SQUARE = 4  # pixels, side of a field of the checkerboard


def control_images(real: Tensor, mean: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    """Sets of n images by name, made of real images (n, c, h, w) in [0, 1].

    ``blur`` is a Gaussian blur of the real images; ``shuffled`` has their pixels in random order,
    each with its channels; ``noise`` is uniform; ``mean`` repeats the mean image (c, h, w);
    ``black`` and ``checkerboard`` repeat one image each.
    """
    n, channels, height, width = real.shape
    rows, columns = torch.arange(height) // SQUARE, torch.arange(width) // SQUARE
    board = (rows.unsqueeze(1) + columns).remainder(2).float()
    order = torch.rand(n, 1, height * width, generator=generator).argsort(2)
    return {
        "blur": gaussian_blur(real, BLUR),
        "shuffled": real.flatten(2).gather(2, order.expand(-1, channels, -1)).reshape(real.shape),
        "noise": torch.rand(real.shape, generator=generator),
        "mean": mean.repeat(n, 1, 1, 1),
        "black": torch.zeros(real.shape),
        "checkerboard": board.repeat(n, channels, 1, 1),
    }


def gaussian_blur(images: Tensor, deviation: float) -> Tensor:
    """Images (n, c, h, w) blurred by a Gaussian of this standard deviation in pixels.

    Each channel is blurred by itself. Outside the images it is black.
    """
    reach = math.ceil(4 * deviation)
    weights = torch.exp(-torch.arange(-reach, reach + 1.0).square() / (2 * deviation**2))
    weights = weights / weights.sum()
    down, across = weights.reshape(1, 1, -1, 1), weights.reshape(1, 1, 1, -1)
    blurred = conv2d(images.flatten(0, 1).unsqueeze(1), down, padding=(reach, 0))
    return conv2d(blurred, across, padding=(0, reach)).reshape(images.shape)
