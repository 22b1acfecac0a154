"""Initial weights from the streams of a seed."""

import math
from collections.abc import Collection

import torch
from torch import nn

from models.networks.builders import is_own
from models.random_streams import random_stream
from models.specs import ConfigError, ModelSpec


def initialize(
    module: nn.Module, seed: int, latent_bias: float | None = None, own: Collection[str] = ()
) -> None:
    """Draw every weight from the seed's streams as torch's own layers do from the global state.

    torch draws weight and bias of Linear, Conv2d and ConvTranspose2d uniformly within
    1/sqrt(fan_in), where fan_in of a transposed convolution counts its output channels. Each
    parameter has a stream of its own, so layers of the same name and shape start equal in
    networks of different latent sizes. The parts named in ``own`` keep the weights that a user's
    code gave them.
    ``latent_bias`` replaces the initial bias of the encoder's last linear layer: with 1.0, ReLU
    units stay alive that are dead with torch's default.

    Raises ConfigError if a bias is given and the encoder has no linear layer with a bias.
    """
    for name, layer in module.named_modules():
        if name.partition(".")[0] in own:
            continue
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            for kind, parameter in layer.named_parameters():
                stream = random_stream(seed, f"weights/{name}.{kind}")
                with torch.no_grad():
                    parameter.uniform_(-bound, bound, generator=stream)
    if latent_bias is not None:
        bias = _latent_layer(module).bias
        units = getattr(getattr(module, "spec", None), "latent_dim", len(bias))
        with torch.no_grad():  # of a VAE only the means, not the logarithms of variances
            bias[:units].fill_(latent_bias)


def own_parts(spec: ModelSpec) -> list[str]:
    """The parts of an autoencoder that a user's own code builds."""
    parts = {"encoder": spec.architecture.encoder, "decoder": spec.architecture.decoder}
    return [part for part, name in parts.items() if name is not None and is_own(name)]


def _latent_layer(module: nn.Module) -> nn.Linear:
    """The encoder's last linear layer."""
    assert isinstance(module.encoder, nn.Module)
    layers = [one for one in module.encoder.modules() if isinstance(one, nn.Linear)]
    if not layers or layers[-1].bias is None:
        raise ConfigError(
            "training.latent_bias: the encoder has no linear layer with a bias; set it to null"
        )
    return layers[-1]
