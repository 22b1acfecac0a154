"""A user's own images: a folder of image files, IDX files or arrays; with labels or without.

IDX files are named like MNIST's: ``train-images*``, and optionally ``train-labels*``,
``t10k-images*`` or ``test-images*``, ``t10k-labels*`` or ``test-labels*``.
"""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models.specs import ImageShape
from tasks.datasets.arrays import count_labels, find_arrays, image_shape, read_arrays, read_labels
from tasks.datasets.config import DatasetConfig
from tasks.datasets.dataset import TEST_SHARE, DatasetError, Reading
from tasks.datasets.found_files import FoundFiles, PartFiles, in_natural_order, listed
from tasks.datasets.idx import idx_length, read_idx
from tasks.datasets.image_file import BadImageError, convert_all
from tasks.datasets.image_folders import find_images
from tasks.datasets.images import read_images
from tasks.datasets.levels import BYTE, Levels, describe_levels, extremes_of, to_bytes, together
from tasks.datasets.scanned_folder import check_folder

if TYPE_CHECKING:
    from torch import Tensor

    Parts = dict[str, tuple[Tensor, Tensor | None]]  # images and labels by the name of the part


IDX_PARTS = {"train": ("train",), "test": ("t10k", "test")}  # how the names of files begin
MINIMUM_IMAGES = 10  # in each part of a dataset
FEWEST_IN_CLASS = 5  # images of a class that is split
SHOWN_BAD_FILES = 10


def files_of(config: DatasetConfig) -> FoundFiles:
    """The files of each part of the dataset, and how they were understood.

    Raises DatasetError if there are no images, or if the files may mean two things.
    """
    path = Path(str(config.path))
    if config.name == "npz":
        return find_arrays(path)
    check_folder(path)
    found = _find_idx_files(path) if config.name == "idx" else find_images(path)
    for name, part in found.parts.items():
        if not part.images:
            raise DatasetError(
                f"dataset.path: no {name} images in {path}; both train and test need images"
            )
    return found


def _find_idx_files(path: Path) -> FoundFiles:
    files = sorted(path.iterdir())
    parts = {}
    for part, names in IDX_PARTS.items():
        images, labels = (_idx_file(files, names, kind) for kind in ("images-idx3", "labels-idx1"))
        if labels and not images:
            raise DatasetError(
                f"dataset.path: {labels} has no file of images beside it; add it, or remove the "
                "labels"
            )
        parts[part] = PartFiles([images] if images else [], [], labels)
    if not any(part.images for part in parts.values()):
        raise DatasetError(
            f"dataset.path: no images in {path.absolute()}; expected <path>/train-images-idx3-ubyte"
        )
    used = {file for part in parts.values() for file in (*part.images, part.labels)}
    others = [file for file in files if file not in used and file.name[0] != "."]
    ignored = Counter(file.suffix for file in others if file.is_file())
    if not parts["test"].images:
        parts = {"all": parts["train"]}
    return FoundFiles(parts, ignored=ignored, is_idx=True)


def _idx_file(files: list[Path], names: tuple[str, ...], kind: str) -> Path | None:
    """The file of this kind, by MNIST's own name, plain or gzip, or else by how its name begins.

    Raises DatasetError if several names begin like that and none is MNIST's.
    """
    content = kind.partition("-")[0]
    matching = {
        name: [file for file in files if file.name.startswith(f"{name}-{content}")]
        for name in names
    }
    several = [name for name in names if matching[name]]
    if not several:
        return None
    folder = files[0].parent.absolute()
    if len(several) > 1:
        raise DatasetError(
            f"dataset.path: {folder} has files for {' and '.join(several)}, which mean the same "
            "part; remove one"
        )
    (name,) = several
    found, own = matching[name], f"{name}-{kind}-ubyte"
    exact = [file for wanted in (own, f"{own}.gz") for file in found if file.name == wanted]
    if not exact and len(found) > 1:
        raise DatasetError(
            f"dataset.path: {folder} has {len(found)} files for {name}-{content}: "
            f"{listed(file.name for file in found)}; name the right one {own}"
        )
    return (exact or found)[0]


def count_by_class(found: FoundFiles) -> dict[str, Counter[str]]:
    """For each part the number of images of each class; none without labels.

    Raises DatasetError for labels that cannot be read.
    """
    if found.arrays:
        return {name: count_labels(part) for name, part in found.arrays.items()}
    counts = {}
    for name, part in found.parts.items():
        counts[name] = Counter(part.classes)
        if part.labels:
            values, n = read_idx(part.labels).unique(return_counts=True)
            counts[name] = Counter(dict(zip(map(str, values.tolist()), n.tolist(), strict=True)))
    return counts


def classes_in(counts: dict[str, Counter[str]]) -> list[str]:
    """The names of the classes of all parts, in the order of their labels."""
    return in_natural_order(name for one in counts.values() for name in one)


def count_images(found: FoundFiles) -> dict[str, int]:
    """For each part the number of its images.

    Raises DatasetError for an IDX file that cannot be read.
    """
    if found.arrays:
        return {name: part.images.shape[0] for name, part in found.arrays.items()}
    return {
        name: idx_length(part.images[0]) if found.is_idx else len(part.images)
        for name, part in found.parts.items()
    }


def shape_of_images(found: FoundFiles, config: DatasetConfig) -> ImageShape:
    """Channels, height and width of prepared images.

    Raises DatasetError for arrays that are no images.
    """
    return image_shape(found, config) if found.arrays else config.conversion().image_shape


def read_parts(config: DatasetConfig) -> "tuple[Parts, Reading]":
    """Images (n, channels, height, width) uint8 and labels (n,) int64 of each part of a dataset.

    Labels count the classes in natural order from 0.

    Raises DatasetError for too few images, files that cannot be read, and labels that do not
    match the images.
    """
    found = files_of(config)
    classes = classes_in(count_by_class(found))
    readers = {"idx": _read_idx, "npz": _read_arrays, "folder": _read_images}
    parts, reading = readers[config.name](config, found, classes)
    for name, (images, labels) in parts.items():
        why = reading.notes[-1:] if reading.skipped else ()  # what was skipped
        check_size(config, name, len(images), why)
        if name == "all" and labels is not None:
            counts = Counter(classes[label] for label in labels.tolist())
            split_sizes(len(images), counts, why)
    return parts, reading


def check_size(config: DatasetConfig, part: str, n: int, notes: Sequence[str] = ()) -> None:
    """Raise DatasetError if a part has too few images; ``notes`` may say why."""
    if n < MINIMUM_IMAGES:
        where = f"{config.path}" if part == "all" else f"{config.path} ({part})"
        raise DatasetError(
            f"dataset.path: {n} images in {where} are too few; at least {MINIMUM_IMAGES} are needed"
            + "".join(f"; {note}" for note in notes)
        )


def split_sizes(n: int, counts: Counter[str], notes: Sequence[str] = ()) -> tuple[int, int]:
    """The numbers of training and test images if n images, of these classes, are split.

    Raises DatasetError if a class has too few images to be split; ``notes`` may say why.
    """
    n_test = math.ceil(TEST_SHARE * n)
    if min(counts.values(), default=2) < 2 or n_test < len(counts):
        raise DatasetError(
            f"dataset.path: {n} images in {len(counts)} classes are too few to set a fifth aside; "
            f"every class needs at least {FEWEST_IN_CLASS}, unlike {listed(rare_classes(counts))}"
            + "".join(f"; {note}" for note in notes)
        )
    return n - n_test, n_test


def rare_classes(counts: Counter[str]) -> list[str]:
    """The classes of few images, with the number of their images."""
    rare = [name for name in in_natural_order(counts) if counts[name] < FEWEST_IN_CLASS]
    return [f"{name} ({counts[name]})" for name in rare]


def _read_images(
    config: DatasetConfig, found: FoundFiles, classes: list[str]
) -> "tuple[Parts, Reading]":
    """All parts are read together, because they have one range of levels."""
    import torch

    paths = [path for part in found.parts.values() for path in part.images]
    read = read_images(paths, config.conversion(), config.levels)
    notes = list(read.notes)
    if read.bad:
        notes.append(_report_bad(config, read.bad, len(paths)))
    label_of = {name: label for label, name in enumerate(classes)}
    parts: Parts = {}
    first = 0
    for name, part in found.parts.items():
        places = [place for place in read.kept if first <= place < first + len(part.images)]
        start = read.kept.index(places[0]) if places else 0
        images = read.images[start : start + len(places)]
        labels = None
        if classes:
            kept = [part.classes[place - first] for place in places]
            if lost := set(part.classes) - set(kept):
                raise DatasetError(
                    f"dataset.path: no image of {listed(in_natural_order(lost))} can be read; "
                    f"replace or remove these; {notes[-1]}"
                )
            labels = torch.tensor([label_of[one] for one in kept])
        parts[name] = (images, labels)
        first += len(part.images)
    return parts, Reading(read.levels, len(read.bad), notes)


def _report_bad(config: DatasetConfig, bad: list[BadImageError], n: int) -> str:
    """A note on the files that were skipped. Raises DatasetError unless they may be."""
    root = str(config.path)
    named = [f"{error.path.relative_to(root)}: {error.why}" for error in bad[:SHOWN_BAD_FILES]]
    more = f"; and {len(bad) - len(named):,} more" if len(bad) > len(named) else ""
    files = "; ".join(named) + more
    if config.on_bad_image == "skip":
        return f"skipped {len(bad):,} of {n:,} images that cannot be read ({files})"
    raise DatasetError(
        f"dataset.path: cannot read {len(bad):,} of {n:,} images in {root} ({files}); replace or "
        "remove them, or set dataset.on_bad_image: skip"
    )


def _read_idx(
    config: DatasetConfig, found: FoundFiles, classes: list[str]
) -> "tuple[Parts, Reading]":
    import torch

    levels = Levels(*(BYTE if config.levels == "auto" else config.levels))
    read = {name: _idx_images(part.images[0]) for name, part in found.parts.items()}
    extremes = together([extremes_of(images) for images in read.values()])
    notes = describe_levels(levels, extremes, asked=config.levels != "auto")
    values = torch.tensor([int(name) for name in classes])
    parts: Parts = {}
    for name, images in read.items():
        path = found.parts[name].labels
        labels = torch.searchsorted(values, read_idx(path).long()) if path else None
        if labels is not None and labels.shape != images.shape[:1]:
            raise DatasetError(
                f"dataset.path: {path} has labels of shape {tuple(labels.shape)} for "
                f"{len(images):,} images; expected one label for each"
            )
        try:
            scaled = images if levels == BYTE else to_bytes(images, levels)
            parts[name] = (convert_all(scaled, config.conversion()), labels)
        except ValueError as error:
            image_file = found.parts[name].images[0]
            raise DatasetError(f"dataset.path: {image_file} cannot be converted: {error}") from None
    return parts, Reading(levels, 0, notes)


def _read_arrays(
    config: DatasetConfig, found: FoundFiles, classes: list[str]
) -> "tuple[Parts, Reading]":
    import torch

    images, levels, notes = read_arrays(found, config)
    label_of = {name: label for label, name in enumerate(classes)}
    parts: Parts = {}
    for name, part in found.arrays.items():
        labels = None
        if part.labels is not None:
            labels = torch.tensor([label_of[one] for one in read_labels(part.labels)])
        parts[name] = (images[name], labels)
    return parts, Reading(levels, 0, notes)


def _idx_images(path: Path) -> "Tensor":
    """Images (n, channels, height, width) uint8. Raises DatasetError for another shape."""
    images = read_idx(path)
    if images.ndim == 3:
        return images.unsqueeze(1)
    if images.ndim == 4 and images.shape[3] in {1, 3}:
        return images.movedim(3, 1)
    raise DatasetError(
        f"dataset.path: {path} has the shape {tuple(images.shape)}; expected "
        "(images, height, width) or (images, height, width, 3)"
    )
