"""Outputs and losses of networks in evaluation mode."""

import torch
from torch import Tensor, nn

from models.engines import Inference, choose_inference
from models.objectives.squared_error import sum_of_squares
from models.training.stacked_parameters import StackedParameters


def apply(module: nn.Module, inputs: Tensor) -> Tensor:
    """Outputs of a module in evaluation mode for images (n, 28, 28) uint8 or latents (n, d)."""
    return choose_inference(StackedParameters([module]), module, shape_of(inputs))(inputs)[0]


def shape_of(inputs: Tensor) -> tuple[int, ...]:
    """The shape of one input, with the axis of channels that grey images (n, h, w) lack."""
    return (1, *inputs.shape[1:]) if inputs.ndim == 3 else tuple(inputs.shape[1:])


def squared_error_by_pixel(model: nn.Module, images: Tensor) -> Tensor:
    """Mean squared error of each pixel over images (n, height, width) uint8, in evaluation mode.

    Returns (height, width) in double precision. Its mean is the reconstruction loss.
    """
    inference = choose_inference(StackedParameters([model]), model, shape_of(images))
    total = torch.zeros(images[0].numel(), dtype=torch.double)
    for x, reconstructed in inference.batches(images):
        total += (reconstructed.flatten(2) - x)[0].square().sum(0).double()
    return (total / len(images)).reshape(images.shape[1:])


def reconstruction_losses(inference: Inference, images: Tensor) -> list[float]:
    """Mean squared error per pixel of every network of a stack over images (n, 28, 28) uint8."""
    total = torch.zeros((), dtype=torch.double, device=images.device)
    for x, reconstructed in inference.batches(images):
        total = total + sum_of_squares(reconstructed.flatten(2), x).double()
    return (total / images.numel()).tolist()
