"""Grids of images as PNG files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


QUALITIES = (80, 60, 40, 25, 15, 8)  # of JPEG
GREY = 64  # of the gaps between images and of missing images


def save_image_grid(rows: Sequence["Tensor"], path: Path, scale: int) -> None:
    """Write rows of images (n, 1 or 3, height, width) uint8 as one PNG, in grey or in colour.

    A pixel becomes ``scale`` by ``scale``. The first row is the longest; shorter ones end in grey
    images.
    """
    import torch
    from PIL import Image
    from torchvision.utils import make_grid

    columns = len(rows[0])
    blanks = [row.new_full((columns - len(row), *row.shape[1:]), GREY) for row in rows]
    whole = torch.cat([part for pair in zip(rows, blanks, strict=True) for part in pair])
    grid = make_grid(whole, columns, padding=2, pad_value=GREY)  # always of three channels
    shown = grid[0] if whole.shape[1] == 1 else grid.movedim(0, 2)
    larger = shown.repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    Image.fromarray(larger.numpy()).save(path)


def save_sprite(images: "Tensor", columns: int, path: Path, most_bytes: int) -> None:
    """Write images (n, 1 or 3, height, width) uint8 as one JPEG, without gaps, row by row.

    The quality is the best of a few for which the file is small enough (``most_bytes``, in bytes),
    or the least.
    """
    from PIL import Image

    n, channels, height, width = images.shape
    rows = -(-n // columns)
    whole = images.new_full((rows * columns, channels, height, width), GREY)
    whole[:n] = images
    grid = whole.reshape(rows, columns, channels, height, width).permute(2, 0, 3, 1, 4)
    shown = grid.reshape(channels, rows * height, columns * width)
    pixels = shown[0] if channels == 1 else shown.movedim(0, 2)
    picture = Image.fromarray(pixels.contiguous().numpy())
    for quality in QUALITIES:
        picture.save(path, quality=quality)
        if path.stat().st_size <= most_bytes:
            return
