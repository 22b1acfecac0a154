"""A user's own images: a folder of files, or IDX files; with labels or without.

A folder is ``<path>/<class>/<image>``, or ``<path>/<image>`` without labels. Either may lie in
``train`` and ``test`` below the path; else a fifth is set aside for testing. IDX files are named
like MNIST's: ``train-images*``, and as far as there are any ``train-labels*``, ``t10k-images*`` or
``test-images*``, ``t10k-labels*`` or ``test-labels*``.
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasks.datasets.config import Conversion, DatasetConfig
from tasks.datasets.dataset import DatasetError
from tasks.datasets.idx import read_idx
from tasks.datasets.images import convert, hidden, image_files, read_image

if TYPE_CHECKING:
    from torch import Tensor


LEAST = 10  # images of a dataset


class Files(NamedTuple):
    """The files of one part of a dataset: images, and the class of each as far as there are any."""

    images: list[Path]
    classes: list[str]
    labels: Path | None = None


def files_of(config: DatasetConfig) -> dict[str, Files]:
    """The files of a dataset: ``train`` and ``test``, or ``all`` where nothing says which.

    Raises DatasetError if there are no images.
    """
    path = Path(str(config.path))
    found = _idx_files(path) if config.name == "idx" else _folder_files(path)
    if not any(part.images for part in found.values()):
        expected = "<path>/train-images-idx3-ubyte"
        if config.name == "folder":
            expected = "<path>/<class>/<image>.png, or <path>/<image>.png without labels"
        raise DatasetError(f"dataset.path: no images in {path.absolute()}; expected {expected}")
    return found


def _folder_files(path: Path) -> dict[str, Files]:
    inside = {
        entry.name
        for entry in path.glob("*")
        if entry.is_dir() and not hidden(entry.relative_to(path))
    }
    parts = ["train", "test"] if {"train", "test"} <= inside else [""]
    others = inside - set(parts)
    if parts != [""] and others:
        raise DatasetError(
            f"dataset.path: {path.absolute()} holds train and test, and also "
            f"{', '.join(sorted(others))}; move that elsewhere"
        )
    found = {}
    for part in parts:
        by_class = image_files(path / part, "*/**/*")
        images = by_class or image_files(path / part)
        classes = [image.relative_to(path / part).parts[0] for image in by_class]
        found[part or "all"] = Files(images, classes)
    return found


def _idx_files(path: Path) -> dict[str, Files]:
    found = {}
    for part, names in {"train": ("train",), "test": ("t10k", "test")}.items():
        images, labels = (
            [file for name in names for file in sorted(path.glob(f"{name}-{content}*"))][:1]
            for content in ("images", "labels")
        )
        found[part] = Files(images, [], labels[0] if labels else None)
    return found if found["test"].images else {"all": found["train"]}


def class_names(config: DatasetConfig) -> list[str]:
    """The classes in the order of their labels; none if a part has no labels."""
    parts = files_of(config)
    if config.name == "folder":
        found = [set(part.classes) for part in parts.values()]
        return sorted(set.union(*found)) if all(found) else []
    return [str(label) for label in range(max(labels_in(config), default=-1) + 1)]


def labels_in(config: DatasetConfig) -> list[int]:
    """The labels that occur, in order; none if a part has no labels."""
    if config.name == "folder":
        return list(range(len(class_names(config))))
    files = [part.labels for part in files_of(config).values()]
    if None in files:
        return []
    found = [read_idx(file).unique().tolist() for file in files if file is not None]
    return sorted(set().union(*found))


def read_parts(config: DatasetConfig) -> "dict[str, tuple[Tensor, Tensor | None]]":
    """Images (n, 28, 28) uint8 and labels (n,) int64 of each part.

    Raises DatasetError for files that cannot be read or do not belong together.
    """
    conversion = Conversion(shape=config.shape, invert=config.invert)
    names = class_names(config)
    read = _read_idx if config.name == "idx" else _read_images
    found = {}
    for name, files in files_of(config).items():
        if not files.images:
            raise DatasetError(f"dataset.path: no {name} images in {config.path}")
        images, labels = read(files, names, conversion)
        if len(images) < LEAST:
            raise DatasetError(
                f"dataset.path: {len(images)} images in {config.path} are too few; "
                f"at least {LEAST} are needed"
            )
        found[name] = (images, labels)
    return found


def _read_images(
    files: Files, names: list[str], conversion: Conversion
) -> "tuple[Tensor, Tensor | None]":
    import torch

    images = torch.stack([read_image(path, conversion) for path in files.images])
    label = {name: index for index, name in enumerate(names)}
    return images, torch.tensor([label[name] for name in files.classes]) if names else None


def _read_idx(
    files: Files, names: list[str], conversion: Conversion
) -> "tuple[Tensor, Tensor | None]":
    (path,) = files.images
    images = read_idx(path)
    if images.ndim == 3:
        images = images.unsqueeze(1)
    elif images.ndim == 4 and images.shape[3] in {1, 3}:
        images = images.movedim(3, 1)
    else:
        raise DatasetError(
            f"dataset.path: {path} has the shape {tuple(images.shape)}; expected "
            "(images, height, width) or (images, height, width, 3)"
        )
    labels = read_idx(files.labels).long() if names and files.labels else None
    if labels is not None and labels.shape != images.shape[:1]:
        raise DatasetError(
            f"dataset.path: {files.labels} has labels of shape {tuple(labels.shape)} for "
            f"{len(images):,} images"
        )
    return convert(images, conversion), labels
