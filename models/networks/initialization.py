"""Initial weights from an explicit generator."""

import math

import torch
from torch import nn

from models.networks.autoencoder import Encoder


def initialize(
    module: nn.Module, generator: torch.Generator, latent_bias: float | None = None
) -> None:
    """Draw every weight from ``generator`` as torch's own layers do from the global state.

    torch draws weight and bias of Linear, Conv2d and ConvTranspose2d uniformly within
    1/sqrt(fan_in), where fan_in of a transposed convolution counts its output channels.
    ``latent_bias`` replaces the initial bias of the encoder's latent layer: with 1.0, ReLU units
    stay alive that are dead with torch's default.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            if layer.bias is not None:
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
    if latent_bias is not None:
        for layer in module.modules():
            if isinstance(layer, Encoder):
                nn.init.constant_(layer.latent.bias, latent_bias)
