"""The files of a user's own images: those of each part of a dataset, and what was left out."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from models.messages import in_one_line

if TYPE_CHECKING:
    import numpy as np

SHOWN_NAMES = 5


class PartFiles(NamedTuple):
    """The files of one part of a dataset, such as ``train``.

    ``classes`` is the class of each image file, empty without classes and for an IDX file;
    ``labels`` is an IDX file.
    """

    images: list[Path]
    classes: list[str]
    labels: Path | None = None


class StoredArray(NamedTuple):
    """An array in a file, by its name; in a .npy file it has the file's name."""

    file: Path
    name: str
    shape: tuple[int, ...]
    dtype: "np.dtype[Any]"

    def __str__(self) -> str:
        return f"{in_one_line(self.name, 80)!r} in {self.file}"


class ArrayPart(NamedTuple):
    """The arrays of one part of a dataset: images, and labels if there are any."""

    images: StoredArray
    labels: StoredArray | None


class FoundFiles(NamedTuple):
    """The files of a dataset.

    ``parts`` are ``train`` and ``test``, or ``all`` if it is not split. ``notes`` say how the files
    were understood; ``ignored`` counts files that are no images, by the endings of their names.
    ``arrays`` are those of each part if the files hold arrays.
    """

    parts: dict[str, PartFiles]
    notes: Sequence[str] = ()
    ignored: Counter[str] = Counter()  # noqa: RUF012
    is_idx: bool = False
    arrays: Mapping[str, ArrayPart] = {}


def in_natural_order(names: Iterable[str]) -> list[str]:
    """Each name once; numbers in names count by their value, so that "2" is before "10"."""

    def key(name: str) -> tuple[list[tuple[bool, int, str]], str]:
        parts = [part for part in re.split(r"([0-9]+)", name) if part]
        numbers = [int(part) if part[0] in "0123456789" else None for part in parts]
        found = zip(numbers, parts, strict=True)
        return [(n is None, n or 0, "" if n is not None else part) for n, part in found], name

    return sorted(set(names), key=key)


def listed(names: Iterable[str]) -> str:
    """Some names as text; the number of the others if there are many."""
    found = list(names)
    more = f" and {len(found) - SHOWN_NAMES:,} more" if len(found) > SHOWN_NAMES else ""
    return ", ".join(found[:SHOWN_NAMES]) + more


def counted(n: int, one: str, many: str = "") -> str:
    """``1 image`` or ``2 images``; ``many`` is the plural if it does not end in s."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def describe_ignored(ignored: Counter[str]) -> str:
    """``37 files ignored: 30 .heic, 7 .txt``; empty if there are none."""
    if not ignored:
        return ""
    kinds = [f"{n:,} {suffix or 'without an ending'}" for suffix, n in ignored.most_common()]
    return f"{counted(ignored.total(), 'file')} ignored: {listed(kinds)}"
