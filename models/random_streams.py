"""Independent random numbers for each purpose of a seed."""

import hashlib

import torch


def random_stream(seed: int, name: str) -> torch.Generator:
    """A generator for one purpose of a seed, like ``order`` or ``weights/encoder.latent.bias``.

    Streams of different names are independent, so that drawing more from one changes no other:
    a seed means the same order of images for every architecture.
    """
    digest = hashlib.sha256(f"{name}/{seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
