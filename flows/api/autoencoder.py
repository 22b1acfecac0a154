"""A trained autoencoder on NumPy arrays."""

import warnings
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.artifacts.dataset import load_dataset
from tasks.cache.entry import Entry

if TYPE_CHECKING:
    from torch import nn

    from models.networks.autoencoder import Autoencoder

Part = Literal["train", "test", "validation"]
BATCH = 512  # images, or latent vectors, that are computed at once


class Latents(NamedTuple):
    """Latent vectors (n, d) float32 of the images of one part of a dataset, in its order.

    ``labels`` (n,) int64 are places in ``classes``; None without labels.
    """

    latents: NDArray[np.float32]
    labels: NDArray[np.int64] | None
    classes: list[str]


class TrainedAutoencoder:
    """An autoencoder of a run. Its methods take and return NumPy arrays and use the CPU.

    Images are (n, c, h, w), with one channel also (n, h, w): uint8 from 0 to 255, or floats from 0
    to 1. Reconstructed images are float32, (n, c, h, w), of which 0 to 1 is black to white.
    """

    def __init__(self, module: "Autoencoder", entry: Entry, dataset: Entry):
        self.module, self._entry, self._dataset = module, entry, dataset

    @property
    def name(self) -> str:
        """The name of its task, as everywhere else."""
        return self._entry.name

    @property
    def latent_dim(self) -> int:
        """The number of latent units."""
        return self.module.spec.latent_dim

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of its images."""
        channels, height, width = self._entry.result["image_shape"]
        return channels, height, width

    @property
    def metrics(self) -> dict[str, float]:
        """What was measured when it was trained, by name; losses are per pixel."""
        return dict(self._entry.result["metrics"])

    def encode(self, images: ArrayLike) -> NDArray[np.float32]:
        """Latent vectors (n, d) float32 of images.

        Of a variational autoencoder these are the means. Raises ValueError for other shapes, types
        or levels.
        """
        return _apply(self.module.encoder, self._checked(images))

    def decode(self, latents: ArrayLike) -> NDArray[np.float32]:
        """Images (n, c, h, w) float32 of latent vectors (n, d).

        Raises ValueError for other shapes.
        """
        vectors = np.asarray(latents, np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != self.latent_dim:
            raise ValueError(
                f"latents of shape {vectors.shape}: expected (n, {self.latent_dim}), one row for "
                "each image"
            )
        if not np.isfinite(vectors).all():
            raise ValueError("latents hold values that are NaN or infinite")
        return _apply(self.module.decoder, vectors)

    def reconstruct(self, images: ArrayLike) -> NDArray[np.float32]:
        """Images (n, c, h, w) float32, encoded and decoded. Raises ValueError as ``encode``."""
        return _apply(self.module, self._checked(images))

    def images(self, part: Part = "test") -> NDArray[np.uint8]:
        """The images (n, c, h, w) uint8 of a part of the dataset that it was trained on.

        Raises ValueError if there is no such part.
        """
        tensors = load_dataset(self._dataset).tensors()
        if f"{part}_images" not in tensors:
            parts = [name.removesuffix("_images") for name in tensors if name.endswith("_images")]
            raise ValueError(f"part {part!r}: this dataset has {', '.join(parts)}")
        return tensors[f"{part}_images"].numpy()

    def latents(self, part: Part = "test") -> Latents:
        """The latent vectors of a part of the dataset that it was trained on, with labels.

        Raises ValueError if there is no such part.
        """
        encoded = self.encode(self.images(part))
        labels = load_dataset(self._dataset).tensors().get(f"{part}_labels")
        classes = list(self._dataset.result["classes"])
        return Latents(encoded, None if labels is None else labels.numpy(), classes)

    def _checked(self, images: ArrayLike) -> NDArray[np.float32]:
        """Images as a network takes them: (n, c, h, w) float32 from 0 to 1."""
        found = np.asarray(images)
        shape = self.image_shape
        if found.ndim == 3 and shape[0] == 1:
            found = found[:, None]
        if found.ndim != 4 or found.shape[1:] != shape:
            raise ValueError(self._why_not(np.shape(images)))
        if found.dtype == np.uint8:
            if found.size and found.max() == 1:
                warnings.warn(
                    "uint8 images of 0 and 1 are nearly black: white is 255", stacklevel=3
                )
            return found.astype(np.float32) / np.float32(255)
        if found.dtype.kind != "f":
            raise ValueError(
                f"images of type {found.dtype}: expected uint8 from 0 to 255, or floats from 0 to 1"
            )
        if not np.isfinite(found).all():
            raise ValueError("images hold values that are NaN or infinite")
        if found.size and (found.min() < 0 or found.max() > 1):
            advice = "divide by 255, or convert to uint8" if found.max() > 2 else "rescale them"
            raise ValueError(
                f"images from {found.min():.8g} to {found.max():.8g}: floats are from 0 to 1; "
                f"{advice}"
            )
        return found.astype(np.float32, copy=False)

    def _why_not(self, found: tuple[int, ...]) -> str:
        channels, height, width = self.image_shape
        text = f"images of shape {found}: expected (n, {channels}, {height}, {width})"
        if channels == 1:
            text += f" or (n, {height}, {width})"
        if found in ((height, width), self.image_shape):
            text += "; a single image is images[None]"
        elif found[1:] == (height, width, channels):
            text += "; move the channels with numpy.moveaxis(images, 3, 1)"
        return text

    def __repr__(self) -> str:
        return f"<autoencoder {self.name}, images {self.image_shape}>"


def _apply(module: "nn.Module", inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """The outputs of a module for its inputs, in batches."""
    import torch

    with torch.inference_mode():
        parts: list[Any] = [
            module(torch.from_numpy(inputs[start : start + BATCH]))
            for start in range(0, max(len(inputs), 1), BATCH)
        ]
        return np.asarray(torch.cat(parts).float().numpy())
