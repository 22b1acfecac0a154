"""How close reconstructions are to images: peak signal-to-noise ratio, structural similarity."""

import warnings
from typing import NamedTuple

import torch
from torch import Tensor

PART = 200  # images that are compared at once
WINDOW = 11  # pixels, the side of the window of SSIM


class ImageQuality(NamedTuple):
    """Means over images: PSNR in decibels, and SSIM, which is 1 for equal images.

    PSNR is infinite if an image is reconstructed exactly. SSIM is None for images smaller than its
    window of 11 x 11 pixels.
    """

    psnr: float
    ssim: float | None


@torch.no_grad()
def image_quality(images: Tensor, reconstructed: Tensor) -> ImageQuality:
    """Compare images (n, c, h, w) uint8 with reconstructions (n, c, h, w) in [0, 1].

    PSNR is -10 log10 of an image's mean squared error, white being 1. SSIM (Wang et al. 2004) has a
    Gaussian window with a standard deviation of 1.5 pixels. Both are those of torchmetrics.
    """
    with warnings.catch_warnings():  # of what it imports
        warnings.simplefilter("ignore")
        from torchmetrics.functional.image import peak_signal_noise_ratio as psnr
        from torchmetrics.functional.image import structural_similarity_index_measure as ssim
    large = min(images.shape[2:]) >= WINDOW
    noise, structure = torch.zeros(()).double(), torch.zeros(()).double()
    parts = zip(images.split(PART), reconstructed.split(PART), strict=True)
    for part, rebuilt in parts:
        real, n = part.float() / 255, len(part)
        noise = noise + n * psnr(rebuilt, real, data_range=1.0, dim=(1, 2, 3))
        if large:
            structure = structure + n * _mean(ssim(rebuilt, real, data_range=1.0))
    return ImageQuality(
        float(noise) / len(images), float(structure) / len(images) if large else None
    )


def _mean(found: Tensor | tuple[Tensor, ...]) -> Tensor:
    """SSIM alone, of which torchmetrics returns more if it is asked to."""
    return found[0] if isinstance(found, tuple) else found
