"""Reads many image files: their common range of levels, those that are bad, what else to say."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasks.datasets.config import Conversion
from tasks.datasets.dataset import SIDE, DatasetError
from tasks.datasets.found_files import counted
from tasks.datasets.image_file import BadImageError, convert, decode, naming
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

    from tasks.datasets.config import LevelsSetting, Shape


class ReadImages(NamedTuple):
    """Images (n, 28, 28) uint8 of files.

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
    """Read image files to grey squares.

    With ``auto`` a file of 8 bits has the levels 0 to 255; the range of the others follows from all
    of them together.

    Raises DatasetError if the levels of the files do not allow this.
    """
    asked = None if levels == "auto" else Levels(*levels)
    images: dict[int, Tensor] = {}
    bad: list[BadImageError] = []
    narrow: list[Extremes] = []
    wide: dict[int, Extremes] = {}
    reduced: list[Extremes] = []
    several = on_black = 0
    for index, path in enumerate(paths):
        try:
            decoded = decode(path)
            found = extremes_of(decoded.pixels)
            if not decoded.is_wide:
                images[index] = _convert(path, decoded.pixels, asked or Levels(*BYTE), conversion)
        except BadImageError as error:
            bad.append(error)
            continue
        several, on_black = several + decoded.several, on_black + decoded.on_black
        if decoded.is_wide:
            wide[index] = found
        else:
            narrow.append(found)
        if decoded.reduced:
            reduced.append(found)
    _check_reduced(reduced, asked)
    chosen = asked or (choose_levels(together([*wide.values()])) if wide else Levels(*BYTE))
    for index in wide:  # a second time: their range was not known before, and all may be large
        try:
            images[index] = _convert(paths[index], decode(paths[index]).pixels, chosen, conversion)
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
    return ReadImages(_stack([images[index] for index in kept]), kept, bad, chosen, notes)


def _convert(path: Path, pixels: "Tensor", levels: Levels, conversion: Conversion) -> "Tensor":
    with naming(path):
        is_byte = levels == BYTE and pixels.element_size() == 1
        return convert(pixels if is_byte else to_bytes(pixels, levels), conversion)


def _stack(images: "list[Tensor]") -> "Tensor":
    import torch

    return torch.stack(images) if images else torch.empty(0, SIDE, SIDE, dtype=torch.uint8)


def _check_reduced(found: list[Extremes], asked: Levels | None) -> None:
    """Refuse colours of 16 bits whose upper 8 bits are not their levels."""
    if found and (asked is not None or together(found).high < BYTE[1] / 2):
        raise DatasetError(
            f"dataset.levels: {counted(len(found), 'colour image has', 'colour images have')} 16 "
            "bits per colour, of which only the upper 8 are read, and these are too dark for that "
            "or levels were set; save them in grey, or with 8 bits per colour"
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
) -> "NDArray[np.float32]":
    """Every image in a folder, as a model's input: (n, 1, 28, 28) float32 in [0, 1], by name.

    ``shape`` and ``invert`` are those of the dataset that the model was trained on, and so are
    ``levels`` if its images have more than 8 bits; its report names them.

    Raises DatasetError if there is no image, or one cannot be read.
    """
    paths = images_in(Path(folder))
    if not paths:
        raise DatasetError(
            f"no images in {Path(folder).absolute()}; expected files such as .png or .jpg"
        )
    found = read_images(paths, Conversion(shape=shape, invert=invert), levels)
    for error in found.bad:
        raise error
    inputs: NDArray[np.float32] = (found.images.unsqueeze(1).float() / 255).numpy()
    return inputs
