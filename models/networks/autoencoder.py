"""Autoencoders and their encoders, whatever networks they are made of."""

from torch import Tensor, nn

from models.networks import written
from models.networks.builders import build_network
from models.specs import ImageShape, ModelSpec


class NetworkEncoder(nn.Module):
    """Images (n, c, h, w) to latent vectors (n, d), by any network.

    The network returns (n, d), or (n, 2 d): means, then logarithms of variances. Then the latent
    vectors are the means.
    """

    def __init__(self, network: nn.Module, spec: ModelSpec):
        super().__init__()
        self.network = network
        self.activation = nn.ReLU() if spec.latent_activation == "relu" else nn.Identity()
        self.latent_dim = spec.latent_dim

    def forward(self, x: Tensor) -> Tensor:
        """Images x (n, c, h, w) to latent vectors (n, d)."""
        latent: Tensor = self.activation(self.network(x)[:, : self.latent_dim])
        return latent


def make_encoder(spec: ModelSpec, image_shape: ImageShape, seed: int = 0) -> nn.Module:
    """The encoder of an autoencoder: images (n, c, h, w) to latent vectors (n, d).

    ``seed`` is that of the initial weights of networks that draw their own. Raises ConfigError for
    a shape that the architecture does not take.
    """
    shape, outputs = spec.architecture, spec.latent_dim * spec.latent_outputs
    if shape.depth is not None and spec.latent_outputs == 1:
        written.check_shape(image_shape, shape.depth)
        return written.Encoder(shape.depth, outputs, spec.latent_activation)
    network = build_network("encoder", shape.encoder, image_shape, outputs, shape.options, seed)
    return NetworkEncoder(network, spec)


class Autoencoder(nn.Module):
    """Encoder and decoder; ``forward`` reconstructs images (n, c, h, w).

    Raises ConfigError for a shape that the architecture does not take.
    """

    def __init__(self, spec: ModelSpec, image_shape: ImageShape, seed: int = 0):
        super().__init__()
        self.spec = spec
        self.encoder = make_encoder(spec, image_shape, seed)
        shape = spec.architecture
        assert shape.decoder is not None, "an autoencoder has a decoder"
        self.decoder = build_network(
            "decoder", shape.decoder, image_shape, spec.latent_dim, shape.options, seed
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images x (n, c, h, w) to their reconstructions, of the same shape."""
        images: Tensor = self.decoder(self.encoder(x))
        return images


def count_parameters(module: nn.Module) -> int:
    """Number of trainable scalars."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
