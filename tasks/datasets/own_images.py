"""A user's own images: a folder of image files, or IDX files; with labels or without.

Image files are ``<path>/<class>/<image>``, or ``<path>/<image>`` without labels. Both are also
possible below ``<path>/train`` and ``<path>/test``; without these a fifth becomes the test set.
IDX files are named like MNIST's: ``train-images*``, and optionally ``train-labels*``,
``t10k-images*`` or ``test-images*``, ``t10k-labels*`` or ``test-labels*``.
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tasks.datasets.config import Conversion, DatasetConfig
from tasks.datasets.dataset import DatasetError
from tasks.datasets.idx import read_idx
from tasks.datasets.images import convert, image_files, is_hidden, read_image

if TYPE_CHECKING:
    from torch import Tensor


MINIMUM_IMAGES = 10  # in each part of a dataset


class PartFiles(NamedTuple):
    """The files of one part of a dataset, such as ``train``.

    ``classes`` is the class of each image file, empty without classes and for an IDX file;
    ``labels`` is an IDX file.
    """

    images: list[Path]
    classes: list[str]
    labels: Path | None = None


def files_of(config: DatasetConfig) -> dict[str, PartFiles]:
    """The files of each part: ``train`` and ``test``, or ``all`` if the dataset is not split.

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


def _folder_files(path: Path) -> dict[str, PartFiles]:
    inside = {
        entry.name
        for entry in path.glob("*")
        if entry.is_dir() and not is_hidden(entry.relative_to(path))
    }
    parts = ["train", "test"] if {"train", "test"} <= inside else [""]
    others = inside - set(parts)
    if parts != [""] and others:
        raise DatasetError(
            f"dataset.path: {path.absolute()} contains the folders train and test, and also "
            f"{', '.join(sorted(others))}; move these out of it"
        )
    found = {}
    for part in parts:
        by_class = image_files(path / part, "*/**/*")
        images = by_class or image_files(path / part)
        classes = [image.relative_to(path / part).parts[0] for image in by_class]
        found[part or "all"] = PartFiles(images, classes)
    return found


def _idx_files(path: Path) -> dict[str, PartFiles]:
    found = {}
    for part, names in {"train": ("train",), "test": ("t10k", "test")}.items():
        images, labels = (_idx_file(path, names, kind) for kind in ("images-idx3", "labels-idx1"))
        found[part] = PartFiles([images] if images else [], [], labels)
    return found if found["test"].images else {"all": found["train"]}


def _idx_file(path: Path, names: tuple[str, ...], kind: str) -> Path | None:
    """The file of this kind, by MNIST's own name, plain or gzip, or else by how its name begins.

    Raises DatasetError if several names begin like that and none is MNIST's.
    """
    own = [path / f"{name}-{kind}-ubyte{end}" for name in names for end in ("", ".gz")]
    if exact := [file for file in own if file.exists()]:
        return exact[0]
    content = kind.partition("-")[0]
    found = [file for name in names for file in sorted(path.glob(f"{name}-{content}*"))]
    if len(found) > 1:
        listed = ", ".join(file.name for file in found[:3])
        raise DatasetError(
            f"dataset.path: {path.absolute()} has {len(found)} files for {names[0]}-{content}: "
            f"{listed}; name the right one {own[0].name}"
        )
    return found[0] if found else None


def class_names(config: DatasetConfig) -> list[str]:
    """The classes in the order of their labels; empty if a part has no labels.

    Raises DatasetError if there are no images.
    """
    parts = files_of(config)
    if config.name == "folder":
        found = [set(part.classes) for part in parts.values()]
        return sorted(set.union(*found)) if all(found) else []
    return [str(label) for label in range(max(labels_in(config), default=-1) + 1)]


def labels_in(config: DatasetConfig) -> list[int]:
    """The sorted labels that occur; empty if a part has no labels.

    Raises DatasetError if there are no images.
    """
    if config.name == "folder":
        return list(range(len(class_names(config))))
    files = [part.labels for part in files_of(config).values()]
    if None in files:
        return []
    found = [read_idx(file).unique().tolist() for file in files if file is not None]
    return sorted(set().union(*found))


def read_parts(config: DatasetConfig) -> "dict[str, tuple[Tensor, Tensor | None]]":
    """Images (n, 28, 28) uint8 and labels (n,) int64 of each part, see ``files_of``.

    Raises DatasetError for too few images, files that cannot be read, and labels that do not
    match the images.
    """
    conversion = Conversion(shape=config.shape, invert=config.invert)
    names = class_names(config)
    read = _read_idx if config.name == "idx" else _read_images
    found = {}
    for name, files in files_of(config).items():
        if not files.images:
            raise DatasetError(
                f"dataset.path: no {name} images in {config.path}; both train and test need images"
            )
        images, labels = read(files, names, conversion)
        if len(images) < MINIMUM_IMAGES:
            raise DatasetError(
                f"dataset.path: {len(images)} images in {config.path} are too few; "
                f"at least {MINIMUM_IMAGES} are needed"
            )
        found[name] = (images, labels)
    return found


def _read_images(
    files: PartFiles, names: list[str], conversion: Conversion
) -> "tuple[Tensor, Tensor | None]":
    import torch

    images = torch.stack([read_image(path, conversion) for path in files.images])
    label = {name: index for index, name in enumerate(names)}
    return images, torch.tensor([label[name] for name in files.classes]) if names else None


def _read_idx(
    files: PartFiles, names: list[str], conversion: Conversion
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
            f"{len(images):,} images; expected one label for each"
        )
    try:
        return convert(images, conversion), labels
    except ValueError as error:
        raise DatasetError(f"dataset.path: {path} cannot be converted: {error}") from None
