"""Which files may be taken from a shared store: kinds that cannot run code, in their true format.

Weights and tensors are safetensors, numbers are JSON, pictures are PNG. Web pages, drawings that
may hold scripts, and saved models are never taken: every machine makes its own.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from tasks.system.files import read_regular_file

LARGEST_JSON = 4 << 20  # bytes
LARGEST_PICTURE = 16 << 20  # bytes
LARGEST_OF_KIND = {".json": LARGEST_JSON, ".png": LARGEST_PICTURE}  # by the end of a name
LARGEST_IMAGE = 50_000_000  # pixels
MOST_FILES = 1_000  # of an entry; the largest have one picture for each of ten epochs


class ForeignFileError(ValueError):
    """Why a file is not taken from a shared store."""


def can_be_shared(names: Iterable[str]) -> bool:
    """Whether files with these names are all of kinds that a shared store may hold, and few."""
    listed = list(names)
    return len(listed) <= MOST_FILES and all(Path(name).suffix in CHECKS for name in listed)


def check_format(path: Path) -> None:
    """Raise ForeignFileError unless the file has the format that its name says."""
    try:
        CHECKS[path.suffix](path)
    except Exception as error:  # the parsers raise errors of many kinds
        raise ForeignFileError(f"{path.name} is no {path.suffix[1:]} file") from error


def _check_safetensors(path: Path) -> None:
    from safetensors import safe_open

    with safe_open(path, "np"):
        pass


def _check_json(path: Path) -> None:
    json.loads(read_regular_file(path, LARGEST_JSON))


def _check_png(path: Path) -> None:
    from PIL import Image

    if path.stat().st_size > LARGEST_PICTURE:
        raise ValueError(f"it is larger than {LARGEST_PICTURE:,} bytes")
    with Image.open(path, formats=["PNG"]) as image:
        if image.width * image.height > LARGEST_IMAGE:
            raise ValueError(f"it has {image.width} x {image.height} pixels")
        image.verify()


CHECKS: dict[str, Callable[[Path], None]] = {
    ".json": _check_json,
    ".png": _check_png,
    ".safetensors": _check_safetensors,
}
