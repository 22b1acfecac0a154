"""One image file of any size, colour and depth: decoded, and converted to a size and colours."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasks.datasets.dataset import DatasetError
from tasks.datasets.levels import BYTE, Levels
from tasks.system.files import open_regular_file

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from tasks.datasets.config import Conversion


# Endings of file names by Pillow's names of formats. Pillow tells formats by their content, and
# would start Ghostscript for a PostScript file.
FORMATS = {
    "PNG": {".png", ".apng"},
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "BMP": {".bmp"},
    "GIF": {".gif"},
    "TIFF": {".tif", ".tiff"},
    "WEBP": {".webp"},
    "PPM": {".pbm", ".pgm", ".ppm", ".pnm"},
    "AVIF": {".avif", ".avifs"},
    "JPEG2000": {".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"},
    "HEIF": {".heic", ".heif", ".hif"},
}
MOST_BYTES = 2**33  # of a file of images, and of images that are padded
AT_ONCE = 2**23  # values of images that are converted together
MOST_PIXELS = 2**28  # of one image that is padded
LEAST_CONTRAST = 26  # of 255 grey levels; a picture with less is blank
SCALED_TO = (255, 65_535)  # by Pillow, from the largest level of a PPM file
# tags of TIFF; Pillow heeds the meaning of levels up to 8 bits
BITS_PER_SAMPLE, WHITE_IS_ZERO, SAMPLE_FORMAT = 258, 262, 339
UNSIGNED, SIGNED = 1, 2  # sample formats


@cache
def readable_formats() -> list[str]:
    """Pillow's names of the formats that can be read here; HEIF needs the extra ``heic``."""
    from PIL import features

    missing = {"AVIF": "avif", "JPEG2000": "jpg_2000", "WEBP": "webp"}
    without = {name for name, feature in missing.items() if not features.check(feature)}
    if find_spec("pillow_heif") is None:
        without.add("HEIF")
    else:
        from pillow_heif import register_heif_opener

        register_heif_opener()
    return [name for name in FORMATS if name not in without]


@cache
def readable_suffixes() -> frozenset[str]:
    """The endings of the names of image files that can be read here."""
    return frozenset().union(*(FORMATS[name] for name in readable_formats()))


class BadImageError(DatasetError):
    """An image file that cannot be read; ``path`` and ``why`` say which and why not."""

    def __init__(self, path: Path, why: str):
        super().__init__(f"dataset.path: cannot read {path}: {why}; replace or remove it")
        self.path, self.why = path, why


class Decoded(NamedTuple):
    """An image as its file holds it.

    ``pixels`` are (channels, height, width) uint8, or levels (1 or 3, height, width) of other bits:
    int64 or float64, whose range is ``levels`` if the file states it. ``brightest``: of 16 bits per
    colour only the upper 8 were read, and this is the largest one that can be seen. ``inverted``:
    its smallest level is white. ``several``: it is the first of several pages or frames.
    ``on_black``: its transparent parts are black, because white would hide it.
    """

    pixels: "Tensor"
    levels: Levels | None = None
    brightest: int | None = None
    inverted: bool = False
    several: bool = False
    on_black: bool = False

    @property
    def is_wide(self) -> bool:
        """Whether it does not have 8 bits."""
        return self.pixels.element_size() > 1


def convert(images: "Tensor", conversion: "Conversion") -> "Tensor":
    """Images (..., 1 or 3, height, width) uint8 to those of a conversion's shape, uint8.

    They are resized without their proportions, or cropped or padded to the new ones first. The grey
    of a colour is its luma.

    Raises ValueError if images are so narrow that padding them would fill the memory.
    """
    from torchvision.transforms.v2 import functional

    if images.shape[-3] == 3 and conversion.channels == 1:
        red, green, blue = images.unbind(-3)  # not torchvision's: it rounds down, white becomes 254
        images = (0.299 * red + 0.587 * green + 0.114 * blue).round().byte().unsqueeze(-3)
    if conversion.shape == "crop":
        images = functional.center_crop(images, _box(images, conversion.size, min))
    elif conversion.shape == "pad":
        images = _pad(images, conversion)
    images = functional.resize(images, [*conversion.size], antialias=True)
    if images.shape[-3] < conversion.channels:
        images = images.repeat_interleave(conversion.channels, -3)
    return 255 - images if conversion.invert else images


def convert_all(images: "Tensor", conversion: "Conversion") -> "Tensor":
    """As ``convert`` for images (n, ...), few at a time: resizing takes many times their memory."""
    import torch

    size = max(1, AT_ONCE // max(images[0].numel(), math.prod(conversion.image_shape)))
    return torch.cat([convert(part, conversion) for part in images.split(size)])


def _box(
    images: "Tensor", size: tuple[int, int], choose: Callable[[float, float], float]
) -> list[int]:
    """Height and width with the proportions of a size, within images (``min``) or around them."""
    height, width = images.shape[-2:]
    scale = choose(height / size[0], width / size[1])
    return [max(1, round(side * scale)) for side in size]


def _pad(images: "Tensor", conversion: "Conversion") -> "Tensor":
    from torchvision.transforms.v2 import functional

    height, width = images.shape[-2:]
    rows, columns = _box(images, conversion.size, max)
    if (rows, columns) == (height, width):
        return images
    n_bytes = images.numel() // (height * width) * rows * columns
    if rows * columns > MOST_PIXELS or n_bytes > MOST_BYTES:
        raise ValueError(f"{width:,} x {height:,} pixels are too narrow for dataset.shape=pad")
    left, top = (columns - width) // 2, (rows - height) // 2
    border = [left, top, columns - width - left, rows - height - top]
    padded: Tensor = functional.pad(images, border, fill=255 if conversion.invert else 0)
    return padded


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Raise any error as a DatasetError that names the file."""
    from PIL import UnidentifiedImageError

    try:
        yield
    except Exception as error:  # decoders raise errors of many kinds for damaged files
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):  # its message names no file
            why = "its content is not that of a format that can be read"
        raise BadImageError(path, why) from None


def decode(path: Path) -> Decoded:
    """The image in a file. Its transparent parts become white, or black if white would hide it.

    Raises DatasetError if the file is no regular file, cannot be read, or has another format.
    """
    from PIL import Image, ImageOps

    with (
        naming(path),
        open_regular_file(path, MOST_BYTES) as file,
        Image.open(file, formats=readable_formats()) as opened,
    ):
        several = bool(getattr(opened, "is_animated", False)) and opened.format != "MPO"
        arguments = [tile.args for tile in getattr(opened, "tile", [])]
        tags = getattr(opened, "tag_v2", {})
        if tags.get(SAMPLE_FORMAT) == (SIGNED,) and tags.get(BITS_PER_SAMPLE) == (8,):
            raise ValueError("it holds signed levels of 8 bits; save it with 16 bits")
        largest = _stated_largest(arguments) if opened.format == "PPM" else None
        image = ImageOps.exif_transpose(opened)
        if image.mode.startswith(("I", "F")):
            unsigned = tags.get(BITS_PER_SAMPLE) == (32,) and SAMPLE_FORMAT not in tags
            pixels = _wide_pixels(image, unsigned or tags.get(SAMPLE_FORMAT) == (UNSIGNED,))
            inverted = tags.get(WHITE_IS_ZERO) == 0
            return _restore_levels(Decoded(pixels, inverted=inverted, several=several), largest)
        upper = any(";16" in str(one) for one in arguments) or (largest or 0) > BYTE[1]
        brightest = _brightest(image) if upper else None
        pixels, on_black = _byte_pixels(image)
        found = Decoded(pixels, brightest=brightest, several=several, on_black=on_black)
        return found if upper else _restore_levels(found, largest)


def _stated_largest(arguments: list[object]) -> int | None:
    """The largest level that the header of a PPM file states, if Pillow scaled others to it."""
    numbers = [one for found in arguments if isinstance(found, tuple) for one in found]
    return max((one for one in numbers if type(one) is int), default=None)


def _restore_levels(found: Decoded, largest: int | None) -> Decoded:
    """The levels of the file, where Pillow has scaled them so that ``largest`` is white."""
    if largest is None or largest in SCALED_TO:
        return found
    white = max(SCALED_TO) if found.is_wide else min(SCALED_TO)
    pixels = (found.pixels.double() * largest / white).round().long()
    return found._replace(pixels=pixels, levels=Levels(0, largest))


def _brightest(image: "Image") -> int:
    """The largest value of a colour that can be seen."""
    import numpy as np

    pixels = np.asarray(image.convert("RGBA"))
    return int(pixels[..., :3].max(axis=2, initial=0, where=pixels[..., 3:] > 0).max())


def _wide_pixels(image: "Image", unsigned: bool) -> "Tensor":
    """Levels (1, height, width): int64 of whole numbers, float64 of others.

    Pillow gives numbers of 32 bits a sign, also where they are ``unsigned``. Raises ValueError for
    NaN and infinite levels.
    """
    import numpy as np
    import torch

    levels = np.asarray(image)
    if image.mode.startswith("F"):
        if not np.isfinite(levels).all():
            raise ValueError("it holds levels that are NaN or infinite")
        return torch.from_numpy(levels.astype(np.float64)).unsqueeze(0)
    whole = levels.astype(np.int64)
    return torch.from_numpy(whole % 2**32 if unsigned else whole).unsqueeze(0)


def _byte_pixels(image: "Image") -> "tuple[Tensor, bool]":
    """Pixels (3, height, width) uint8, and whether transparent parts are black."""
    from PIL import Image
    from torchvision.transforms.v2.functional import pil_to_tensor

    if not image.has_transparency_data:
        return pil_to_tensor(image.convert("RGB")), False
    layer = image.convert("RGBA")
    on_white, on_black = (
        Image.alpha_composite(Image.new("RGBA", layer.size, colour), layer).convert("RGB")
        for colour in ("white", "black")
    )
    hidden = _is_blank(on_white) and not _is_blank(on_black)
    return pil_to_tensor(on_black if hidden else on_white), hidden


def _is_blank(image: "Image") -> bool:
    import numpy as np

    return int(np.ptp(np.asarray(image.convert("L")))) < LEAST_CONTRAST
