"""Fully connected networks, for images of any shape."""

import math

from torch import nn

from models.specs import ConfigError, ImageShape

MOST_LAYERS = 20


def encoder(
    image_shape: ImageShape, outputs: int, *, layers: int = 2, width: int = 256
) -> nn.Module:
    """Images (n, c, h, w) to (n, outputs) by ``layers`` hidden layers of ``width`` ReLU units.

    Without hidden layers it is linear. Raises ConfigError for sizes that are no whole numbers.
    """
    return nn.Sequential(nn.Flatten(), *_layers(math.prod(image_shape), outputs, layers, width))


def decoder(
    image_shape: ImageShape, latent_dim: int, *, layers: int = 2, width: int = 256
) -> nn.Module:
    """Latent vectors (n, latent_dim) to images (n, c, h, w) in (0, 1), like the encoder."""
    values = math.prod(image_shape)
    shape = nn.Unflatten(1, tuple(image_shape))
    return nn.Sequential(*_layers(latent_dim, values, layers, width), nn.Sigmoid(), shape)


def _layers(inputs: int, outputs: int, layers: int, width: int) -> list[nn.Module]:
    for name, value, least in (("layers", layers, 0), ("width", width, 1)):
        most = MOST_LAYERS if name == "layers" else 65_536
        if type(value) is not int or not least <= value <= most:
            raise ConfigError(f"mlp: {name}: {value!r} is no whole number from {least} to {most:,}")
    found: list[nn.Module] = []
    for _ in range(layers):
        found += [nn.Linear(inputs, width), nn.ReLU()]
        inputs = width
    return [*found, nn.Linear(inputs, outputs)]
