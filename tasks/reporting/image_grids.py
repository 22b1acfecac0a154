"""Grids of images as PNG files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


GREY = 64  # of the gaps between images and of missing images


def save_image_grid(rows: Sequence["Tensor"], path: Path, scale: int) -> None:
    """Write rows of images (n, 28, 28) uint8 as one PNG; a pixel becomes ``scale`` by ``scale``.

    The first row is the longest; shorter ones end in grey images.
    """
    import torch
    from PIL import Image
    from torchvision.utils import make_grid

    columns = len(rows[0])
    blanks = [row.new_full((columns - len(row), *row.shape[1:]), GREY) for row in rows]
    whole = torch.cat([part for pair in zip(rows, blanks, strict=True) for part in pair])
    grid = make_grid(whole.unsqueeze(1), columns, padding=2, pad_value=GREY)
    larger = grid[0].repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    Image.fromarray(larger.numpy()).save(path)
