"""Outputs and losses of networks in evaluation mode."""

import torch
from torch import Tensor, nn

from models.engines import Inference, choose_inference
from models.objectives.squared_error import sum_of_squares
from models.training.stacked_parameters import StackedParameters


def apply(module: nn.Module, inputs: Tensor) -> Tensor:
    """Outputs of a module in evaluation mode for images (n, c, h, w) uint8 or latents (n, d)."""
    return choose_inference(StackedParameters([module]), module, tuple(inputs.shape[1:]))(inputs)[0]


def squared_error_by_pixel(model: nn.Module, images: Tensor) -> Tensor:
    """Mean squared error of each value over images (n, channels, height, width) uint8.

    The model is in evaluation mode. Returns (channels, height, width) in double precision, whose
    mean is the reconstruction loss.
    """
    inference = choose_inference(StackedParameters([model]), model, tuple(images.shape[1:]))
    total = torch.zeros(images[0].numel(), dtype=torch.double)
    for x, reconstructed in inference.batches(images):
        total += (reconstructed.flatten(2) - x)[0].square().sum(0).double()
    return (total / len(images)).reshape(images.shape[1:])


def reconstruction_losses(inference: Inference, images: Tensor) -> list[float]:
    """Mean squared error per pixel of every network of a stack over images (n, c, h, w) uint8."""
    total = torch.zeros((), dtype=torch.double, device=images.device)
    for x, reconstructed in inference.batches(images):
        total = total + sum_of_squares(reconstructed.flatten(2), x).double()
    return (total / images.numel()).tolist()
