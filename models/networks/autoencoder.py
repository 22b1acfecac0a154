"""The written study's convolutional autoencoders, depths 1 to 3, for grey images (28, 28)."""

import math

from torch import Tensor, nn

from models.specs import ModelSpec


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
    """Images (n, 1, 28, 28) to latent vectors (n, d)."""

    def __init__(self, spec: ModelSpec):
        super().__init__()
        self.features = nn.Sequential(*_encoder_layers(spec.depth), nn.Flatten())
        self.latent = nn.Linear(math.prod(FEATURE_SHAPES[spec.depth]), spec.latent_dim)
        self.activation = nn.ReLU() if spec.latent_activation == "relu" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        latent: Tensor = self.activation(self.latent(self.features(x)))
        return latent


class Decoder(nn.Module):
    """Latent vectors (n, d) to images (n, 1, 28, 28) in (0, 1)."""

    def __init__(self, spec: ModelSpec):
        super().__init__()
        shape = FEATURE_SHAPES[spec.depth]
        self.expand = nn.Linear(spec.latent_dim, math.prod(shape))
        layers = _decoder_layers(spec.depth)
        if spec.depth == 1:  # the only depth without a ReLU after the linear layer
            layers = [nn.Unflatten(1, shape), *layers]
        self.image = nn.Sequential(*layers, nn.Sigmoid())

    def forward(self, z: Tensor) -> Tensor:
        images: Tensor = self.image(self.expand(z))
        return images


class Autoencoder(nn.Module):
    """Encoder and decoder; ``forward`` reconstructs images (n, 1, 28, 28)."""

    def __init__(self, spec: ModelSpec):
        super().__init__()
        self.spec = spec
        self.encoder = Encoder(spec)
        self.decoder = Decoder(spec)

    def forward(self, x: Tensor) -> Tensor:
        images: Tensor = self.decoder(self.encoder(x))
        return images


def count_parameters(module: nn.Module) -> int:
    """Number of trainable scalars."""
    return sum(parameter.numel() for parameter in module.parameters())
