"""Reads many image files: their common range of levels, those that are bad, what else to say."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasks.datasets.config import Conversion
from tasks.datasets.dataset import DatasetError
from tasks.datasets.found_files import counted
from tasks.datasets.image_file import BadImageError, Decoded, convert, decode, naming
from tasks.datasets.levels import (
    BYTE,
    Extremes,
    Levels,
    choose_levels,
    describe_levels,
    extremes_of,
    to_bytes,
    together,
)
from tasks.datasets.scanned_folder import images_in

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from tasks.datasets.config import Channels, LevelsSetting, Shape


class ReadImages(NamedTuple):
    """Images (n, channels, height, width) uint8 of files.

    ``kept`` holds the place of each image's file among all files, ``bad`` the errors of those that
    cannot be read, ``levels`` the range that became black to white, ``notes`` what to say.
    """

    images: "Tensor"
    kept: list[int]
    bad: list[BadImageError]
    levels: Levels
    notes: list[str]


def read_images(
    paths: Sequence[Path], conversion: Conversion, levels: "LevelsSetting" = "auto"
) -> ReadImages:
    """Read image files to images of one shape.

    With ``auto`` a file of 8 bits has the levels 0 to 255; the range of the others follows from all
    of them together.

    Raises DatasetError if the levels of the files do not allow this.
    """
    from PIL import Image

    # Pillow warns of images from half the size that it refuses, without naming the file
    with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
        return _read_all(paths, conversion, None if levels == "auto" else Levels(*levels))


def _read_all(paths: Sequence[Path], conversion: Conversion, asked: Levels | None) -> ReadImages:
    images: dict[int, Tensor] = {}
    bad: list[BadImageError] = []
    narrow: list[Extremes] = []
    wide: dict[int, Extremes] = {}
    brightest: list[int] = []
    several = on_black = 0
    for index, path in enumerate(paths):
        try:
            decoded = decode(path)
            found = extremes_of(decoded.pixels)
            known = asked or decoded.levels or (None if decoded.is_wide else Levels(*BYTE))
            if known is not None:
                images[index] = _convert(path, decoded, known, conversion)
        except BadImageError as error:
            bad.append(error)
            continue
        several, on_black = several + decoded.several, on_black + decoded.on_black
        if decoded.is_wide and (asked or decoded.levels is None):
            wide[index] = found
        elif not decoded.is_wide:
            narrow.append(found)
        if decoded.brightest is not None:
            brightest.append(decoded.brightest)
    _check_upper_bits(brightest, asked)
    chosen = asked or _choose([*wide.values()])
    for index in wide.keys() - images.keys():  # all may be large, so they are read a second time
        try:
            images[index] = _convert(paths[index], decode(paths[index]), chosen, conversion)
        except BadImageError as error:
            bad.append(error)
    notes = _describe(narrow, [*wide.values()], chosen, asked)
    if several:
        files = counted(several, "file has", "files have")
        notes.append(f"{files} several pages or frames: the first is used")
    if on_black:
        pictures = counted(on_black, "image is", "images are")
        notes.append(f"{pictures} white on transparent: transparent parts become black")
    kept = sorted(images)
    stacked = _stack([images[index] for index in kept], conversion.image_shape)
    return ReadImages(stacked, kept, bad, chosen, notes)


def _convert(path: Path, found: Decoded, levels: Levels, conversion: Conversion) -> "Tensor":
    with naming(path):
        pixels = found.pixels
        if found.is_wide or levels != BYTE:
            pixels = to_bytes(pixels, levels)
        return convert(255 - pixels if found.inverted else pixels, conversion)


def _choose(wide: list[Extremes]) -> Levels:
    """One range for all images of more than 8 bits. Raises DatasetError if they differ in kind."""
    if not wide:
        return Levels(*BYTE)
    if len({found.whole for found in wide}) > 1:
        raise DatasetError(
            "dataset.levels: some images hold whole numbers of more than 8 bits and others floats, "
            "which have no range in common; save all in one way, or set dataset.levels"
        )
    return choose_levels(together(wide))


def _stack(images: "list[Tensor]", shape: tuple[int, int, int]) -> "Tensor":
    import torch

    return torch.stack(images) if images else torch.empty(0, *shape, dtype=torch.uint8)


def _check_upper_bits(brightest: list[int], asked: Levels | None) -> None:
    """Refuse colours of 16 bits whose upper 8 bits are not their levels."""
    if brightest and (asked is not None or max(brightest) < BYTE[1] / 2):
        images_have = counted(len(brightest), "colour image has", "colour images have")
        raise DatasetError(
            f"dataset.levels: {images_have} 16 bits per colour, of which only the upper 8 are "
            "read, and these are too dark for that or levels were set; save them in grey, or with "
            "8 bits per colour"
        )


def _describe(
    narrow: list[Extremes], wide: list[Extremes], chosen: Levels, asked: Levels | None
) -> list[str]:
    """What to say about the levels of files of 8 bits and of more."""
    if asked is not None:
        found = [*narrow, *wide]
        return describe_levels(asked, together(found), asked=True) if found else []
    notes = describe_levels(chosen, together(wide), asked=False) if wide else []
    if narrow and wide:
        pictures = counted(len(narrow), "image of 8 bits keeps", "images of 8 bits keep")
        notes.append(f"{pictures} the levels 0 to 255")
    if narrow:
        notes += describe_levels(Levels(*BYTE), together(narrow), asked=False)
    return notes


def read_folder(
    folder: str | Path,
    shape: "Shape" = "stretch",
    invert: bool = False,
    levels: "LevelsSetting" = "auto",
    size: int | tuple[int, int] = (28, 28),
    channels: "Channels" = 1,
) -> "NDArray[np.float32]":
    """Every image in a folder, as a model's input: (n, c, h, w) float32 in [0, 1], by name.

    ``shape``, ``invert``, ``size`` and ``channels`` are those of the dataset that the model was
    trained on, and so are ``levels`` if its images have more than 8 bits; its report names them.

    Raises DatasetError if there is no image, or one cannot be read.
    """
    paths = images_in(Path(folder))
    if not paths:
        raise DatasetError(
            f"no images in {Path(folder).absolute()}; expected files such as .png or .jpg"
        )
    sides = (size, size) if isinstance(size, int) else size
    conversion = Conversion(shape=shape, invert=invert, size=sides, channels=channels)
    found = read_images(paths, conversion, levels)
    for error in found.bad:
        raise error
    inputs: NDArray[np.float32] = (found.images.float() / 255).numpy()
    return inputs
