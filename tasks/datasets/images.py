"""Image files of any size and colour as tensors of small grey squares."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.datasets.dataset import DatasetError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from tasks.datasets.config import Conversion, Shape


SIDE = 28
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}


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

    from tasks.datasets.config import Conversion

    paths = image_files(Path(folder))
    if not paths:
        raise DatasetError(f"no images in {Path(folder).absolute()}")
    conversion = Conversion(shape=shape, invert=invert)
    images = torch.stack([read_image(path, conversion) for path in paths])
    return (images.unsqueeze(1).float() / 255).numpy()
