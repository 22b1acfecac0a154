"""Checks that an encoder and a decoder take and return what a study needs."""

from collections.abc import Iterator
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from models.messages import described, shape_text
from models.networks.factories import seeded_everywhere
from models.specs import ConfigError

CHECKED_IMAGES = 3  # so that a batch is not taken for a channel


def check_networks(
    encoder: nn.Module,
    decoder: nn.Module,
    image_shape: tuple[int, int, int],
    outputs: int,
    latent_dim: int,
    names: tuple[str, str] = ("the encoder", "the decoder"),
) -> list[str]:
    """Run a batch of zeros through copies of both networks, in training and in evaluation mode.

    ``outputs`` is what the encoder should return for each image, ``names`` are for messages.
    Returns notes on what is odd and still trains. The networks and the global generators are
    afterwards as they were before.

    Raises ConfigError, in one line, for a network without parameters, one that raises, and outputs
    of another shape or type, or that are not finite.
    """
    images = torch.zeros(CHECKED_IMAGES, *image_shape)
    latents = torch.zeros(CHECKED_IMAGES, latent_dim)
    encoded = _check_one(encoder, names[0], images, (outputs,))
    decoded = _check_one(decoder, names[1], latents, tuple(image_shape))
    notes = [*_notes(encoded, names[0]), *_notes(decoded, names[1])]
    return [*notes, *_range_notes(decoded[0], names[1])]


def _check_one(
    network: nn.Module, name: str, given: Tensor, shape: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """The outputs in evaluation mode, with one seed and another."""
    _check_parameters(network, name)
    copied = _copied(network)
    found = []
    for seed, training in enumerate((True, False, False)):
        copied.train(training)
        try:
            with seeded_everywhere(seed), torch.no_grad():
                outputs = copied(given)
        except Exception as error:
            raise ConfigError(
                f"{name} cannot take inputs of {shape_text(given.shape)}: {described(error)}"
            ) from error
        _check_outputs(outputs, name, given, shape)
        found.append(outputs)
    return found[1], found[2]


def _copied(network: nn.Module) -> nn.Module:
    try:
        return deepcopy(network)
    except Exception:  # old forms of weight norm cannot be copied; the check changes little in them
        return network


def _check_parameters(network: nn.Module, name: str) -> None:
    if any(is_lazy(one) for one in [*network.parameters(), *network.buffers()]):
        raise ConfigError(
            f"{name} has layers whose size is not given, like LazyLinear; give their sizes"
        )
    parameters = [one for one in network.parameters() if one.requires_grad]
    if not parameters:
        raise ConfigError(f"{name} has no parameters that could be trained")
    kinds = {one.dtype for one in parameters} - {torch.float32}
    if kinds:
        raise ConfigError(f"{name} has parameters of {_dtype(kinds.pop())}; make them float32")


def _check_outputs(found: object, name: str, given: Tensor, shape: tuple[int, ...]) -> None:
    expected = (len(given), *shape)
    if not isinstance(found, Tensor):
        raise ConfigError(f"{name} returned a {type(found).__name__}, not a tensor")
    if tuple(found.shape) != expected:
        raise ConfigError(
            f"{name} returned {shape_text(found.shape)} for inputs of {shape_text(given.shape)}; "
            f"{shape_text(expected)} is needed"
        )
    if found.dtype != torch.float32:
        raise ConfigError(f"{name} returned {_dtype(found.dtype)}; return float32")
    if not bool(found.isfinite().all()):
        raise ConfigError(f"{name} returned numbers that are not finite for inputs of zeros")


def _notes(outputs: tuple[Tensor, Tensor], name: str) -> Iterator[str]:
    if not torch.equal(*outputs):
        yield (
            f"{name} draws random numbers in evaluation mode too, so its losses and images differ "
            "from one use to the next; draw only while self.training"
        )


def _range_notes(decoded: Tensor, name: str) -> Iterator[str]:
    low, high = float(decoded.min()), float(decoded.max())
    if low < 0 or high > 1:
        yield (
            f"{name} returns values outside [0, 1] ({low:.3g} to {high:.3g} for zeros); "
            "a sigmoid at its end would keep them inside"
        )


def _dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
