"""Networks with skip connections, for images whose sides are divisible by 4."""

import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """A convolution whose output is added to its input."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(torch.relu(self.norm(x)))


def encoder(image_shape: tuple[int, int, int], outputs: int, width: int = 16) -> nn.Module:
    """Images (n, channels, height, width) in [0, 1] to (n, outputs)."""
    channels, height, columns = image_shape
    return nn.Sequential(
        nn.Conv2d(channels, width, 4, stride=2, padding=1),
        Residual(width),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
        Residual(2 * width),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * width * (height // 4) * (columns // 4), outputs),
    )


def decoder(image_shape: tuple[int, int, int], latent_dim: int, width: int = 16) -> nn.Module:
    """Latent vectors (n, latent_dim) to images (n, channels, height, width) in (0, 1)."""
    channels, height, columns = image_shape
    return nn.Sequential(
        nn.Linear(latent_dim, 2 * width * (height // 4) * (columns // 4)),
        nn.Unflatten(1, (2 * width, height // 4, columns // 4)),
        Residual(2 * width),
        nn.ReLU(),
        nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
        Residual(width),
        nn.ReLU(),
        nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
        nn.Sigmoid(),
    )
