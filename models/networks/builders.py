"""Builds networks by name: those of this package, and a user's own that were registered."""

from collections.abc import Callable, Mapping
from typing import Literal

from torch import nn

from models.networks import conv, mlp, written
from models.networks.factories import call_factory, seeded_everywhere
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


def register_builder(digest: str, builder: Builder) -> None:
    """Make a user's own builder known in this process, under the digest of its code."""
    _registered[digest] = builder


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
    shape, stream = tuple(image_shape), random_stream(seed, f"builder/{part}")
    if name in SHIPPED:
        return call_factory(SHIPPED[name][part], name, shape, size, options=options, seed=stream)
    builder = _registered.get(name)
    if builder is None:
        raise ConfigError(f"the code {name[:19]}... of the {part} is not part of this run")
    with seeded_everywhere(stream):
        return builder(shape, size, **options)
