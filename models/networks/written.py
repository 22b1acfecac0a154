"""The written study's convolutional networks, depths 1 to 3, for grey images (28, 28)."""

import math

from torch import Tensor, nn

from models.messages import shape_text
from models.specs import WRITTEN_SHAPE, ConfigError, ImageShape, LatentActivation


class Convolution(nn.Sequential):
    """Conv2d, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, padding: int = 0):
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.BatchNorm2d(outputs), nn.ReLU()
        )


# Shape (channels, height, width) of the encoder's last feature map, by depth.
FEATURE_SHAPES = {1: (18, 6, 6), 2: (36, 5, 5), 3: (36, 3, 3)}


def _encoder_layers(depth: int) -> list[nn.Module]:
    if depth == 1:
        return [Convolution(1, 18, 5, 4)]
    if depth == 2:
        return [Convolution(1, 18, 5, 2), Convolution(18, 36, 3, 2)]
    return [Convolution(1, 9, 3, 2, 1), Convolution(9, 18, 3, 2, 1), Convolution(18, 36, 3, 2, 0)]


def _decoder_layers(depth: int) -> list[nn.Module]:
    if depth == 1:
        return [nn.ConvTranspose2d(18, 1, 5, 4, output_padding=3)]
    if depth == 2:
        return [
            nn.ReLU(),
            nn.Unflatten(1, FEATURE_SHAPES[2]),
            nn.ConvTranspose2d(36, 18, 3, 2, output_padding=1),
            nn.BatchNorm2d(18),
            nn.ReLU(),
            nn.ConvTranspose2d(18, 1, 5, 2, output_padding=1),
        ]
    return [
        nn.ReLU(),
        nn.Unflatten(1, FEATURE_SHAPES[3]),
        nn.ConvTranspose2d(36, 18, 3, 2),
        nn.BatchNorm2d(18),
        nn.ReLU(),
        nn.ConvTranspose2d(18, 9, 3, 2, padding=1, output_padding=1),
        nn.BatchNorm2d(9),
        nn.ReLU(),
        nn.ConvTranspose2d(9, 1, 3, 2, padding=1, output_padding=1),
    ]


class Encoder(nn.Module):
    """Images (n, 1, 28, 28) to ``outputs`` values each: with one for each unit, latent vectors."""

    def __init__(self, depth: int, outputs: int, activation: LatentActivation = "linear"):
        super().__init__()
        self.features = nn.Sequential(*_encoder_layers(depth), nn.Flatten())
        self.latent = nn.Linear(math.prod(FEATURE_SHAPES[depth]), outputs)
        self.activation = nn.ReLU() if activation == "relu" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Images x (n, 1, 28, 28) to the outputs (n, outputs)."""
        latent: Tensor = self.activation(self.latent(self.features(x)))
        return latent


class Decoder(nn.Module):
    """Latent vectors (n, d) to images (n, 1, 28, 28) in (0, 1)."""

    def __init__(self, depth: int, latent_dim: int):
        super().__init__()
        shape = FEATURE_SHAPES[depth]
        self.expand = nn.Linear(latent_dim, math.prod(shape))
        layers = _decoder_layers(depth)
        if depth == 1:  # the only depth without a ReLU after the linear layer
            layers = [nn.Unflatten(1, shape), *layers]
        self.image = nn.Sequential(*layers, nn.Sigmoid())

    def forward(self, z: Tensor) -> Tensor:
        """Latent vectors z (n, d) to images (n, 1, 28, 28) in (0, 1)."""
        images: Tensor = self.image(self.expand(z))
        return images


def encoder(image_shape: ImageShape, outputs: int, *, depth: int) -> Encoder:
    """The encoder of a depth, without an activation on its outputs. ConfigError as below."""
    check_shape(image_shape, depth)
    return Encoder(depth, outputs)


def decoder(image_shape: ImageShape, latent_dim: int, *, depth: int) -> Decoder:
    """The decoder of a depth. Raises ConfigError for another shape than (1, 28, 28)."""
    check_shape(image_shape, depth)
    return Decoder(depth, latent_dim)


def check_shape(image_shape: ImageShape, depth: int) -> None:
    """Raise ConfigError unless images are of the shape that these networks were written for."""
    if tuple(image_shape) != WRITTEN_SHAPE:
        raise ConfigError(
            f"depth {depth} of the written study is for images of {shape_text(WRITTEN_SHAPE)}, not "
            f"{shape_text(image_shape)}; compare architectures in place of depths, like "
            "{small: {encoder: conv, decoder: conv}}"
        )
