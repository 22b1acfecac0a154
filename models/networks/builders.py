"""Builds networks by name: those of this package, and a user's own that were registered."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn

from models.networks import conv, mlp, written
from models.random_streams import random_stream
from models.specs import ConfigError, ImageShape

Part = Literal["encoder", "decoder"]
# called with the image shape, the number of outputs or the latent size, and options
Builder = Callable[..., nn.Module]
SHIPPED: dict[str, dict[Part, Builder]] = {
    "written": {"encoder": written.encoder, "decoder": written.decoder},
    "conv": {"encoder": conv.encoder, "decoder": conv.decoder},
    "mlp": {"encoder": mlp.encoder, "decoder": mlp.decoder},
}
_registered: dict[str, Builder] = {}


def register_builder(name: str, builder: Builder) -> None:
    """Make a user's own builder known in this process, under the digest of its code."""
    _registered[name] = builder


def is_own(name: str) -> bool:
    """Whether a builder is a user's own."""
    return name not in SHIPPED


def build_network(
    part: Part,
    name: str,
    image_shape: ImageShape,
    size: int,
    options: Mapping[str, object],
    seed: int = 0,
) -> nn.Module:
    """The encoder or decoder that a builder makes for images of a shape.

    ``size`` is the number of an encoder's outputs, or the latent size. Weights that the builder
    draws depend on the seed alone.

    Raises ConfigError if the builder is not known in this process, and what it raises itself.
    """
    builder = SHIPPED[name][part] if name in SHIPPED else _registered.get(name)
    if builder is None:
        raise ConfigError(f"the code of the {part} {name} is not part of this run")
    with seeded(seed, f"builder/{part}"):
        return builder(tuple(image_shape), size, **options)


@contextmanager
def seeded(seed: int, stream: str) -> Iterator[None]:
    """Draw torch's global random numbers from a stream of a seed, and restore them afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_stream(seed, stream).initial_seed())
        yield
