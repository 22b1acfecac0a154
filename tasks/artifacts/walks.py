"""Walks: images (steps, channels, height, width) in [0, 1] along a line between two images.

``decoded`` is a straight line in latent space and ``spherical`` an arc in it, ``pixels`` is the
straight line between the images themselves.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.cache.entry import Entry, loading
from tasks.datasets.dataset import Dataset, DatasetError

if TYPE_CHECKING:
    from torch import Tensor

WALKS = "walks.safetensors"


def images_to_walk(dataset: Dataset, label: int) -> "Tensor":
    """All test images (n, channels, height, width) uint8 with a label.

    Raises DatasetError if there is none.
    """
    _, labels = dataset.labels()
    found = dataset.test_images[labels == label]
    if not len(found):
        raise DatasetError(
            f"interpolation.pairs: no test image has the label {label}, counted from 0; choose "
            "other classes or raise dataset.test_limit"
        )
    return found


def straight_line(start: "Tensor", end: "Tensor", steps: int) -> "Tensor":
    """Equally spaced points (steps, ...) from ``start`` to ``end`` (...), both included."""
    import torch

    weights = torch.linspace(0, 1, steps).reshape(-1, *[1] * start.ndim)
    return torch.lerp(start.unsqueeze(0), end.unsqueeze(0), weights)


def save_walks(folder: Path, walks: "dict[str, Tensor]") -> None:
    """Write walks (steps, c, h, w) to a file in the folder of an entry."""
    from safetensors.torch import save_file

    save_file({name: images.contiguous() for name, images in walks.items()}, folder / WALKS)


def load_walks(entry: Entry) -> "dict[str, Tensor]":
    """The walks (steps, c, h, w) in an entry of step ``interpolate``, by name.

    Raises UnusableEntryError if the entry holds something else.
    """
    from safetensors.torch import load_file

    with loading(entry):
        return load_file(entry.path(WALKS))
