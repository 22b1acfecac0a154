"""Networks with a skip connection."""

import math

import blocks
from torch import nn


def encoder(image_shape, outputs, width=8):
    channels, height, side = image_shape
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, 2, padding=1),
        blocks.Skip(width),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(width * math.ceil(height / 2) * math.ceil(side / 2), outputs),
    )


def decoder(image_shape, latent_dim, width=8):
    from parts.heads import Head

    return nn.Sequential(nn.Linear(latent_dim, 8 * width), nn.ReLU(), Head(8 * width, image_shape))
