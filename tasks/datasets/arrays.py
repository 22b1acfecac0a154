"""A user's own images as NumPy arrays: which arrays are images and labels, and of what shape.

Arrays are named ``x_train``, ``y_train``, ``x_test``, ``y_test``; or with ``images`` and ``labels``
in the place of x and y; or without a part, ``x`` or ``images`` and ``y`` or ``labels``.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from models.specs import ImageShape
from tasks.datasets.array_files import read_array, stored_arrays
from tasks.datasets.config import LARGEST_SIDE, SMALLEST_SIDE, DatasetConfig
from tasks.datasets.dataset import DatasetError
from tasks.datasets.found_files import (
    ArrayPart,
    FoundFiles,
    PartFiles,
    StoredArray,
    counted,
    listed,
)
from tasks.datasets.image_file import convert
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

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


IMAGES, LABELS = {"x", "image", "images"}, {"y", "label", "labels", "target", "targets"}
PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
}
EXPECTED = "expected x_train, y_train, x_test and y_test, or x and y (or images and labels)"
VALUES = 2**22  # of images that are converted at once


class Meaning(NamedTuple):
    """The part that an array belongs to, and whether it holds labels."""

    part: str
    labels: bool


def find_arrays(path: Path) -> FoundFiles:
    """Understand the arrays in a file or folder. No image is read.

    Raises DatasetError if there are no images, or if the arrays may mean two things.
    """
    arrays = stored_arrays(path)
    meant: dict[Meaning, StoredArray] = {}
    ignored = []
    for name, array in arrays.items():
        meaning = _meaning(name)
        if meaning is None:
            ignored.append(name)
        elif meaning in meant:
            raise DatasetError(
                f"dataset.path: {meant[meaning]} and {name!r} mean the same part; keep one"
            )
        else:
            meant[meaning] = array
    parts = _parts(path, meant, listed(arrays))
    notes = []
    left = {one.name for one in meant.values()} - {
        one.name for part in parts.values() for one in part if one is not None
    }
    if ignored or left:
        names = listed([*sorted(left), *ignored])
        notes.append(f"{counted(len(left) + len(ignored), 'array')} not used: {names}")
    files = {
        name: PartFiles([part.images.file], [], part.labels.file if part.labels else None)
        for name, part in parts.items()
    }
    return FoundFiles(files, notes, arrays=parts)


def _meaning(name: str) -> Meaning | None:
    words = re.findall("[a-z0-9]+", name.lower())
    kinds = [word for word in words if word in IMAGES | LABELS]
    parts = [PARTS[word] for word in words if word in PARTS]
    if len(kinds) != 1 or len(parts) > 1 or len(kinds) + len(parts) != len(words):
        return None
    return Meaning(parts[0] if parts else "all", kinds[0] in LABELS)


def _parts(path: Path, meant: Mapping[Meaning, StoredArray], names: str) -> dict[str, ArrayPart]:
    """The arrays of each part. Validation is the test set if there is no other."""
    images = {one.part: array for one, array in meant.items() if not one.labels}
    labels = {one.part: array for one, array in meant.items() if one.labels}
    if not images:
        raise DatasetError(
            f"dataset.path: no images among the arrays of {path}: {names}; {EXPECTED}"
        )
    if alone := labels.keys() - images.keys():
        raise DatasetError(
            f"dataset.path: {labels[min(alone)]} are labels without images; {EXPECTED}"
        )
    if "all" in images and len(images) > 1:
        raise DatasetError(
            f"dataset.path: {path} has images of parts and others, {images['all'].name!r}; "
            f"{EXPECTED}"
        )
    if images.keys() <= {"test", "validation"}:
        raise DatasetError(f"dataset.path: {path} has no images to train on: {names}; {EXPECTED}")
    test = "test" if "test" in images else "validation"
    chosen = {"train": "train", "test": test} if test in images else {"all": min(images)}
    found = {name: ArrayPart(images[part], labels.get(part)) for name, part in chosen.items()}
    for part in found.values():
        _check_labels(part)
    return found


def _check_labels(part: ArrayPart) -> None:
    images, labels = part
    if labels is None:
        return
    n = images.shape[0] if images.shape else 0
    if labels.shape not in {(n,), (n, 1)}:
        raise DatasetError(
            f"dataset.path: {labels} have the shape {labels.shape} for {n:,} images; expected one "
            "label for each"
        )


def image_shape(found: FoundFiles, config: DatasetConfig) -> ImageShape:
    """Channels, height and width of the images that the arrays become.

    Raises DatasetError if an array has no shape of images, or if parts differ in theirs.
    """
    shapes = {part.images: _axes(part.images)[0] for part in found.arrays.values()}
    first, *others = shapes
    for other in others:
        wrong = (shapes[first][0] != shapes[other][0]) and config.channels is None
        if wrong or (shapes[first][1:] != shapes[other][1:] and config.size is None):
            raise DatasetError(
                f"dataset.path: {first} has images of {_shown(shapes[first])} and {other} of "
                f"{_shown(shapes[other])}; set dataset.size and dataset.channels"
            )
    converted = config.conversion(shapes[first]).image_shape
    if not all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in converted[1:]):
        raise DatasetError(
            f"dataset.path: {first} has images of {_shown(shapes[first])}; set dataset.size to "
            f"{SMALLEST_SIDE} to {LARGEST_SIDE} pixels"
        )
    return converted


def _shown(shape: ImageShape) -> str:
    channels, height, width = shape
    return f"{height} x {width} pixels with {counted(channels, 'channel')}"


def _axes(array: StoredArray) -> tuple[ImageShape, bool]:
    """The shape of one image, and whether its channels are the last axis.

    Raises DatasetError if no axis, or more than one, can be that of the channels.
    """
    shape = array.shape
    if array.dtype.kind not in "buif":
        raise DatasetError(f"dataset.path: {array} holds {array.dtype}, no levels of images")
    if len(shape) == 3:
        return (1, *shape[1:]), False
    expected = "expected (n, h, w), (n, h, w, c) or (n, c, h, w) with 1 or 3 channels"
    if len(shape) != 4 or not {1, 3} & {shape[1], shape[3]}:
        raise DatasetError(f"dataset.path: {array} has the shape {shape}; {expected}")
    first, last = (shape[axis] in {1, 3} for axis in (1, 3))
    if first and last:
        raise DatasetError(
            f"dataset.path: {array} has the shape {shape}, in which the channels may be first or "
            f"last; save grey images as (n, h, w), or give the images another size"
        )
    return ((shape[3], *shape[1:3]) if last else shape[1:]), last


def read_labels(array: StoredArray) -> list[str]:
    """The labels (n,) as texts.

    Raises DatasetError if they are neither whole numbers nor texts.
    """
    import numpy as np

    values = np.asarray(read_array(array)).reshape(-1)
    if values.dtype.kind == "f" and bool((values == np.floor(values)).all()):  # not of NaN
        values = values.astype(np.int64)
    if values.dtype.kind == "b":
        values = values.astype(np.int64)
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "backslashreplace")
    if values.dtype.kind not in "iuU":
        raise DatasetError(
            f"dataset.path: {array} holds {values.dtype}; labels are whole numbers or texts, one "
            "for each image"
        )
    labels = [str(value) for value in values.tolist()]
    if "" in labels:
        raise DatasetError(f"dataset.path: {array} has empty labels; name each class")
    return labels


def count_labels(part: ArrayPart) -> Counter[str]:
    """The number of images of each class; none without labels."""
    return Counter(read_labels(part.labels)) if part.labels else Counter()


def read_arrays(
    found: FoundFiles, config: DatasetConfig
) -> "tuple[dict[str, Tensor], Levels, list[str]]":
    """Images (n, c, h, w) uint8 of each part, the levels that became black to white, what to say.

    Raises DatasetError if an array cannot be read, or holds NaN or infinite values.
    """
    shape = image_shape(found, config)
    levels, notes = _levels(found, config)
    images = {
        name: _convert(one.images, shape, levels, config) for name, one in found.arrays.items()
    }
    return images, levels, notes


def _levels(found: FoundFiles, config: DatasetConfig) -> tuple[Levels, list[str]]:
    """One range of levels for all parts."""
    arrays = [part.images for part in found.arrays.values()]
    extremes = together([_extremes(array) for array in arrays])
    kinds = {array.dtype.kind.replace("u", "i") for array in arrays}
    if config.levels != "auto":
        levels = Levels(*config.levels)
    elif kinds == {"b"}:
        levels = Levels(0, 1)
    elif len(kinds) > 1:
        raise DatasetError(
            "dataset.levels: some arrays hold whole numbers and others floats, which have no range "
            "in common; save all in one way, or set dataset.levels"
        )
    else:
        is_byte = all(array.dtype.itemsize == 1 and array.dtype.kind == "u" for array in arrays)
        levels = Levels(*BYTE) if is_byte else choose_levels(extremes)
    return levels, describe_levels(levels, extremes, asked=config.levels != "auto")


def _extremes(array: StoredArray) -> Extremes:
    import math

    found = together([extremes_of(part) for part in _tensors(array)])
    if not (math.isfinite(found.low) and math.isfinite(found.high)):
        raise DatasetError(f"dataset.path: {array} holds values that are NaN or infinite")
    return found


def _tensors(array: StoredArray) -> "Iterator[Tensor]":
    """Parts of the images (m, c, h, w): uint8, int64 or float64.

    Trap: each use reads the array, so that only one is in memory.
    """
    import numpy as np
    import torch

    (channels, height, width), channels_last = _axes(array)
    values: NDArray[Any] = read_array(array)
    if len(values.shape) == 3:
        values = values[:, None]
    elif channels_last:
        values = np.moveaxis(values, 3, 1)
    size = max(1, VALUES // (channels * height * width))
    kinds = {"u": "int64", "i": "int64", "f": "float64", "b": "uint8"}
    kind = "uint8" if values.dtype == np.uint8 else kinds[values.dtype.kind]
    for start in range(0, len(values), size):
        # a copy: the values of a file that is mapped into memory cannot be written to
        yield torch.from_numpy(np.array(values[start : start + size], kind, order="C"))


def _convert(
    array: StoredArray, shape: ImageShape, levels: Levels, config: DatasetConfig
) -> "Tensor":
    import torch

    conversion = config.conversion(shape)
    images = torch.empty(array.shape[0], *shape, dtype=torch.uint8)
    start = 0
    for part in _tensors(array):
        is_byte = part.dtype == torch.uint8 and levels == BYTE
        try:
            converted = convert(part if is_byte else to_bytes(part, levels), conversion)
        except ValueError as error:
            raise DatasetError(f"dataset.path: {array} cannot be converted: {error}") from None
        images[start : start + len(part)] = converted
        start += len(part)
    return images
