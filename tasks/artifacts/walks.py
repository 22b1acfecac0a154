"""Saves and loads walks: images (steps, height, width) in [0, 1] along a line, by name.

``decoded`` is a straight line in latent space, ``pixels`` the one between the images themselves.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.cache.entry import Entry, loading

if TYPE_CHECKING:
    from torch import Tensor

WALKS = "walks.safetensors"


def save_walks(folder: Path, walks: "dict[str, Tensor]") -> None:
    """Write walks to a file in the folder of an entry."""
    from safetensors.torch import save_file

    save_file({name: images.contiguous() for name, images in walks.items()}, folder / WALKS)


def load_walks(entry: Entry) -> "dict[str, Tensor]":
    """The walks in an entry of step ``interpolate``.

    Raises UnusableEntryError if the entry holds something else.
    """
    from safetensors.torch import load_file

    with loading(entry):
        return load_file(entry.path(WALKS))
