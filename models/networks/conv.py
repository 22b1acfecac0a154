"""Convolutional networks for images of any channels, with sides that are divisible by 4.

Every pixel is seen by the encoder and reached by the decoder. To write networks of your own, start
from a copy of this file: ``encoder`` and ``decoder`` are called with the shape of the images, a
size, and the options of the study file, and return modules. Name them in the study file:

    architectures:
      mine: {encoder: nets.py:encoder, decoder: nets.py:decoder, options: {width: 32}}
"""

import math
from typing import NamedTuple

from torch import nn

from models.specs import ConfigError, ImageShape

MOST_LAYERS = 8


class Map(NamedTuple):
    """A layer's output maps, and whether the layer halved their sides."""

    channels: int
    height: int
    width: int
    halved: bool


def encoder(
    image_shape: ImageShape, outputs: int, *, layers: int = 3, width: int = 16
) -> nn.Module:
    """Images (n, c, h, w) to (n, outputs): convolutions with batch norm and ReLU, then linear.

    The first layer has ``width`` channels, and each halved map has twice as many. A layer halves
    both sides while they are even and at least 4; other layers keep them.

    Raises ConfigError for sides that are not divisible by 4, and for too many layers.
    """
    maps = _maps(image_shape, layers, width)
    network: list[nn.Module] = []
    channels = image_shape[0]
    for one in maps:
        kernel, stride = (4, 2) if one.halved else (3, 1)
        network += [
            nn.Conv2d(channels, one.channels, kernel, stride, padding=1),
            nn.BatchNorm2d(one.channels),
            nn.ReLU(),
        ]
        channels = one.channels
    return nn.Sequential(*network, nn.Flatten(), nn.Linear(math.prod(maps[-1][:3]), outputs))


def decoder(
    image_shape: ImageShape, latent_dim: int, *, layers: int = 3, width: int = 16
) -> nn.Module:
    """Latent vectors (n, latent_dim) to images (n, c, h, w) in (0, 1); the encoder in reverse.

    Raises ConfigError as ``encoder``.
    """
    maps = _maps(image_shape, layers, width)
    last = maps[-1]
    network: list[nn.Module] = [
        nn.Linear(latent_dim, math.prod(last[:3])),
        nn.ReLU(),
        nn.Unflatten(1, last[:3]),
    ]
    for one, before in zip(reversed(maps), [*reversed(maps[:-1]), None], strict=True):
        channels = image_shape[0] if before is None else before.channels
        kernel, stride = (4, 2) if one.halved else (3, 1)
        network.append(nn.ConvTranspose2d(one.channels, channels, kernel, stride, padding=1))
        if before is not None:
            network += [nn.BatchNorm2d(channels), nn.ReLU()]
    return nn.Sequential(*network, nn.Sigmoid())


def _maps(image_shape: ImageShape, layers: int, width: int) -> list[Map]:
    """The output maps of every layer of the encoder."""
    _, height, columns = image_shape
    if height % 4 or columns % 4:
        raise ConfigError(
            f"conv is for images whose sides are divisible by 4, not {height}x{columns}; set "
            "dataset.size, like 32"
        )
    for name, value, most in (("layers", layers, MOST_LAYERS), ("width", width, 4_096)):
        if type(value) is not int or not 1 <= value <= most:
            raise ConfigError(f"conv: {name}: {value!r} is no whole number from 1 to {most:,}")
    maps = []
    channels = width
    for index in range(layers):
        halved = not (height % 2 or columns % 2) and min(height, columns) >= 4
        if halved:
            height, columns = height // 2, columns // 2
            channels = width if index == 0 else 2 * channels
        maps.append(Map(channels, height, columns, halved))
    return maps
