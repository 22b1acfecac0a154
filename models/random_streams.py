"""Independent random numbers for each purpose of a seed."""

import hashlib

import torch


def stream_seed(seed: int, name: str) -> int:
    """The seed of torch's generators for one purpose of a seed."""
    digest = hashlib.sha256(f"{name}/{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def random_stream(seed: int, name: str) -> torch.Generator:
    """A generator for one purpose of a seed, like ``order`` or ``weights/encoder.latent.bias``.

    Streams of different names are independent, so that drawing more from one changes no other:
    a seed means the same order of images for every architecture.
    """
    return torch.Generator().manual_seed(stream_seed(seed, name))


def probe_places(n: int, most: int) -> torch.Tensor:
    """Places (m,) of at most ``most`` of n images, in random order: the same for every model."""
    return torch.randperm(n, generator=random_stream(0, "probe images"))[:most]
