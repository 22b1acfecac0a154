"""Files of latents: those of all training and test images of one autoencoder."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasks.cache.entry import Entry, loading

if TYPE_CHECKING:
    from torch import Tensor


LATENTS = "latents.safetensors"


class Latents(NamedTuple):
    """Latent vectors (n, d) of training and test images in their order, and their labels (n,).

    There are labels if the dataset has them.
    """

    train: "Tensor"
    test: "Tensor"
    train_labels: "Tensor | None" = None
    test_labels: "Tensor | None" = None

    def tensors(self) -> "dict[str, Tensor]":
        """Latents (n, d) and labels (n,) by name, without those that are None."""
        return {name: tensor for name, tensor in self._asdict().items() if tensor is not None}


def save_latents(folder: Path, latents: Latents) -> None:
    """Write latents (n, d) to a file in the folder of an entry."""
    from safetensors.torch import save_file

    tensors = {name: tensor.contiguous() for name, tensor in latents.tensors().items()}
    save_file(tensors, folder / LATENTS)


def load_latents(entry: Entry) -> Latents:
    """The latents (n, d) in an entry of step ``encode``.

    Raises UnusableEntryError if the entry holds something else.
    """
    from safetensors.torch import load_file

    with loading(entry):
        return Latents(**load_file(entry.path(LATENTS)))
