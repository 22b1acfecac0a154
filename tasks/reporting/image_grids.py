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
    shown = _pixels(grid, whole.shape[1])
    larger = shown.repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    Image.fromarray(larger.numpy()).save(path)


def save_sprite(images: "Tensor", columns: int, path: Path, most_bytes: int) -> None:
    """Write images (n, 1 or 3, height, width) uint8 as one JPEG, without gaps, row by row.

    The quality is the best of a few for which the file is small enough (``most_bytes``, in bytes),
    or the least.
    """
    import torch
    from PIL import Image
    from torchvision.utils import make_grid

    blanks = images.new_full((-len(images) % columns, *images.shape[1:]), GREY)
    grid = make_grid(torch.cat([images, blanks]), columns, padding=0)
    picture = Image.fromarray(_pixels(grid, images.shape[1]).contiguous().numpy())
    for quality in QUALITIES:
        picture.save(path, quality=quality)
        if path.stat().st_size <= most_bytes:
            return


def _pixels(grid: "Tensor", channels: int) -> "Tensor":
    """A grid (3, h, w) of images of 1 or 3 channels as (h, w) or (h, w, 3)."""
    return grid[0] if channels == 1 else grid.movedim(0, 2)
