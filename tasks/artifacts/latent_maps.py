"""Files of maps: latents of test images in two dimensions, and small pictures of the images."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasks.cache.entry import Entry, loading

if TYPE_CHECKING:
    from torch import Tensor


MAPS = "maps.safetensors"
PART = 200  # images that are made small at once
LONGEST_SIDE = 32  # pixels of a small picture


class LatentMaps(NamedTuple):
    """Maps (n, 2) of n test images by name, like ``0 PCA``: the place of the model, the method.

    ``places`` (n,) are those of the images among the test images. ``pictures`` (n, c, h, w) uint8
    have sides of at most 32 pixels in files. ``labels`` are (n,), if there are any.
    """

    maps: "dict[str, Tensor]"
    places: "Tensor"
    pictures: "Tensor"
    labels: "Tensor | None"


def save_maps(folder: Path, found: LatentMaps) -> None:
    """Write maps to a file in the folder of an entry, with pictures made small."""
    from safetensors.torch import save_file

    tensors = {"places": found.places, "pictures": small_pictures(found.pictures).contiguous()}
    if found.labels is not None:
        tensors["labels"] = found.labels
    maps = {name: points.contiguous() for name, points in found.maps.items()}
    save_file(tensors | maps, folder / MAPS)


def load_maps(entry: Entry) -> LatentMaps:
    """The maps in an entry of step ``latent_map``.

    Raises UnusableEntryError if the entry holds something else.
    """
    from safetensors.torch import load_file

    with loading(entry):
        tensors = load_file(entry.path(MAPS))
        places, pictures = tensors.pop("places"), tensors.pop("pictures")
        return LatentMaps(tensors, places, pictures, tensors.pop("labels", None))


def small_pictures(images: "Tensor") -> "Tensor":
    """Images (n, c, h, w) uint8 with sides of at most 32 pixels, of the same proportions."""
    import torch
    from torch.nn.functional import interpolate

    height, width = images.shape[2:]
    scale = LONGEST_SIDE / max(height, width)
    if scale >= 1:
        return images
    size = max(1, round(scale * height)), max(1, round(scale * width))
    parts = [interpolate(part.float(), size, mode="area") for part in images.split(PART)]
    return torch.cat(parts).round().byte()
