"""Converts images of any size and colour to grey squares of 28x28 pixels."""

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.datasets.dataset import DatasetError
from tasks.system.files import open_regular_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from tasks.datasets.config import Conversion, Shape


SIDE = 28  # pixels
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}
# Pillow tells formats by their content, and would start Ghostscript for a PostScript file.
FORMATS = ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM"]
MOST_BYTES = 2**33  # of a file of images, and of images that are padded
MOST_PIXELS = 2**28  # of one image that is padded


def image_files(folder: Path, pattern: str = "*") -> list[Path]:
    """The image files in a folder that match a glob pattern, sorted, without hidden ones.

    A folder whose name ends like that of an image is none.
    """
    found = sorted(path for path in folder.glob(pattern) if path.suffix.lower() in SUFFIXES)
    return [path for path in found if not is_hidden(path.relative_to(folder)) and not path.is_dir()]


def is_hidden(path: Path) -> bool:
    """Whether a part of a relative path starts with "." or "__MACOSX": it is not a user's image."""
    return any(part.startswith((".", "__MACOSX")) for part in path.parts)


def convert(images: "Tensor", conversion: "Conversion") -> "Tensor":
    """Images (..., channels, height, width) uint8 to grey squares (..., 28, 28) uint8.

    Raises ValueError if images are so narrow that padding them would fill the memory.
    """
    from torchvision.transforms.v2 import functional

    if images.shape[-3] == 3:
        red, green, blue = images.unbind(-3)  # not torchvision's: it rounds down, white becomes 254
        images = (0.299 * red + 0.587 * green + 0.114 * blue).round().byte().unsqueeze(-3)
    height, width = images.shape[-2:]
    if conversion.shape == "crop":
        images = functional.center_crop(images, [min(height, width)] * 2)
    elif conversion.shape == "pad" and height != width:
        side = max(height, width)
        if side**2 > MOST_PIXELS or images.numel() // min(height, width) * side > MOST_BYTES:
            raise ValueError(f"{width:,} x {height:,} pixels are too narrow for dataset.shape=pad")
        left, top = (side - width) // 2, (side - height) // 2
        border = [left, top, side - width - left, side - height - top]
        images = functional.pad(images, border, fill=255 if conversion.invert else 0)
    images = functional.resize(images, [SIDE, SIDE], antialias=True).squeeze(-3)
    return 255 - images if conversion.invert else images


def read_image(path: Path, conversion: "Conversion") -> "Tensor":
    """The image in a file, as a grey square (28, 28) uint8; transparent parts become white.

    Raises DatasetError if the file is no regular file, cannot be read, or has another format.
    """
    import numpy as np
    import torch
    from PIL import Image, ImageOps, UnidentifiedImageError
    from torchvision.transforms.v2.functional import pil_to_tensor

    try:
        with (
            open_regular_file(path, MOST_BYTES) as file,
            Image.open(file, formats=FORMATS) as opened,
        ):
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):  # grey levels of 16 bits
                levels = np.asarray(image, dtype=np.int64).clip(0, 65_535) // 257
                tensor = torch.from_numpy(levels.astype(np.uint8)).unsqueeze(0)
            elif image.has_transparency_data:
                layer = image.convert("RGBA")
                white = Image.new("RGBA", layer.size, "white")
                tensor = pil_to_tensor(Image.alpha_composite(white, layer).convert("RGB"))
            else:
                tensor = pil_to_tensor(image.convert("RGB"))
        return convert(tensor, conversion)
    except Exception as error:  # decoders raise errors of many kinds for damaged files
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):  # its message names no file
            why = f"its content is none of {', '.join(FORMATS)}"
        raise DatasetError(
            f"dataset.path: cannot read {path}: {why}; replace or remove it"
        ) from None


def read_folder(
    folder: str | Path, shape: "Shape" = "stretch", invert: bool = False
) -> "NDArray[np.float32]":
    """Every image in a folder, as a model's input: (n, 1, 28, 28) float32 in [0, 1], by name.

    ``shape`` and ``invert`` are those of the dataset that the model was trained on.

    Raises DatasetError if there is no image, or one cannot be read.
    """
    import torch

    from tasks.datasets.config import Conversion

    paths = image_files(Path(folder))
    if not paths:
        raise DatasetError(
            f"no images in {Path(folder).absolute()}; expected files such as .png or .jpg"
        )
    conversion = Conversion(shape=shape, invert=invert)
    images = torch.stack([read_image(path, conversion) for path in paths])
    inputs: NDArray[np.float32] = (images.unsqueeze(1).float() / 255).numpy()
    return inputs
