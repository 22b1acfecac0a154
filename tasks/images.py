"""Image files and IDX files as tensors of small grey squares, and back."""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.sources import DatasetError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from tasks.dataset_config import Conversion, Shape

SIDE = 28
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}
GREY = 64  # between and beside images
UNSIGNED_BYTE = 8  # IDX code of the element type


def image_files(folder: Path, below: str = "*") -> list[Path]:
    """The images that a pattern finds in a folder, in order, but for hidden files and folders."""
    found = sorted(path for path in folder.glob(below) if path.suffix.lower() in SUFFIXES)
    return [path for path in found if not hidden(path.relative_to(folder))]


def hidden(path: Path) -> bool:
    """Whether a relative path is none of a user's images, but its system's."""
    return any(part.startswith((".", "__MACOSX")) for part in path.parts)


def convert(images: "Tensor", conversion: "Conversion") -> "Tensor":
    """Images (..., channels, height, width) uint8 to grey squares (..., 28, 28) uint8."""
    from torchvision.transforms.v2 import functional

    if images.shape[-3] == 3:
        red, green, blue = images.unbind(-3)  # torchvision rounds down: its white is 254
        images = (0.299 * red + 0.587 * green + 0.114 * blue).round().byte().unsqueeze(-3)
    height, width = images.shape[-2:]
    if conversion.shape == "crop":
        images = functional.center_crop(images, [min(height, width)] * 2)
    elif conversion.shape == "pad" and height != width:
        side = max(height, width)
        left, top = (side - width) // 2, (side - height) // 2
        border = [left, top, side - width - left, side - height - top]
        images = functional.pad(images, border, fill=255 if conversion.invert else 0)
    images = functional.resize(images, [SIDE, SIDE], antialias=True).squeeze(-3)
    return 255 - images if conversion.invert else images


def read_image(path: Path, conversion: "Conversion") -> "Tensor":
    """One image file as a grey square (28, 28) uint8; transparent parts are white.

    Raises DatasetError if it cannot be read.
    """
    import numpy as np
    import torch
    from PIL import Image, ImageOps
    from torchvision.transforms.v2.functional import pil_to_tensor

    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):  # 16 bits of grey
                levels = np.asarray(image, dtype=np.int64).clip(0, 65_535) // 257
                tensor = torch.from_numpy(levels.astype(np.uint8)).unsqueeze(0)
            elif image.has_transparency_data:
                layer = image.convert("RGBA")
                white = Image.new("RGBA", layer.size, "white")
                tensor = pil_to_tensor(Image.alpha_composite(white, layer).convert("RGB"))
            else:
                tensor = pil_to_tensor(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DatasetError(f"dataset.path: cannot read {path}: {error}") from None
    return convert(tensor, conversion)


def read_folder(
    folder: str | Path, shape: "Shape" = "stretch", invert: bool = False
) -> "np.ndarray[Any, Any]":
    """Every image in a folder as a model takes it: (n, 1, 28, 28) float32 in [0, 1], by name.

    ``shape`` and ``invert`` are those of the dataset that the model was trained on.

    Raises DatasetError if there is none, or one cannot be read.
    """
    import torch

    from tasks.dataset_config import Conversion

    paths = image_files(Path(folder))
    if not paths:
        raise DatasetError(f"no images in {Path(folder).absolute()}")
    conversion = Conversion(shape=shape, invert=invert)
    images = torch.stack([read_image(path, conversion) for path in paths])
    return (images.unsqueeze(1).float() / 255).numpy()


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        yield file


def read_idx(path: Path) -> "Tensor":
    """An IDX file of unsigned bytes, plain or gzip, with the shape that it declares.

    The format is LeCun's for MNIST: two zero bytes, the type, the number of axes, their sizes as
    32-bit big-endian integers, the values. Raises DatasetError if the file is anything else.
    """
    import torch

    try:
        with _opened(path) as file:
            zeros, kind, axes = struct.unpack(">HBB", file.read(4))
            shape = struct.unpack(f">{axes}I", file.read(4 * axes))
            content = file.read()
    except (OSError, EOFError, struct.error, zlib.error) as error:
        raise DatasetError(
            f"dataset.path: {path} is no IDX file: {error}; expected a whole file in MNIST's "
            "format, plain or gzip"
        ) from None
    if zeros or kind != UNSIGNED_BYTE or len(content) != math.prod(shape) or not content:
        raise DatasetError(
            f"dataset.path: {path} is no IDX file of unsigned bytes, or is cut off: it declares "
            f"type {kind} and shape {shape}, and holds {len(content):,} bytes"
        )
    return torch.frombuffer(bytearray(content), dtype=torch.uint8).reshape(shape)


def save_images(rows: Sequence["Tensor"], path: Path, scale: int) -> None:
    """Rows of images (n, 28, 28) uint8 as one PNG, each pixel as ``scale`` by ``scale``."""
    import torch
    from PIL import Image
    from torchvision.utils import make_grid

    columns = len(rows[0])
    blanks = [row.new_full((columns - len(row), *row.shape[1:]), GREY) for row in rows]
    whole = torch.cat([part for pair in zip(rows, blanks, strict=True) for part in pair])
    grid = make_grid(whole.unsqueeze(1), columns, padding=2, pad_value=GREY)
    larger = grid[0].repeat_interleave(scale, 0).repeat_interleave(scale, 1)
    Image.fromarray(larger.numpy()).save(path)
