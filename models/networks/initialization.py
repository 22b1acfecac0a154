"""Initial weights from the streams of a seed."""

import math

import torch
from torch import nn

from models.networks.autoencoder import Encoder
from models.random_streams import random_stream


def initialize(module: nn.Module, seed: int, latent_bias: float | None = None) -> None:
    """Draw every weight from the seed's streams as torch's own layers do from the global state.

    torch draws weight and bias of Linear, Conv2d and ConvTranspose2d uniformly within
    1/sqrt(fan_in), where fan_in of a transposed convolution counts its output channels. Each
    parameter has a stream of its own, so layers of the same name and shape start equal in
    networks of different latent sizes.
    ``latent_bias`` replaces the initial bias of the encoder's latent layer: with 1.0, ReLU units
    stay alive that are dead with torch's default.
    """
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            bound = 1 / math.sqrt(layer.weight[0].numel())
            for kind, parameter in layer.named_parameters():
                stream = random_stream(seed, f"weights/{name}.{kind}")
                with torch.no_grad():
                    parameter.uniform_(-bound, bound, generator=stream)
    if latent_bias is not None:
        for layer in module.modules():
            if isinstance(layer, Encoder):
                nn.init.constant_(layer.latent.bias, latent_bias)
