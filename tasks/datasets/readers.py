"""Reads any dataset into memory."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from models.specs import ImageShape
from tasks.datasets.config import OWN_IMAGES, DatasetConfig
from tasks.datasets.dataset import TEST_SHARE, Dataset, Reading, split_places
from tasks.datasets.downloaded.downloads import ensure_raw_files
from tasks.datasets.downloaded.photographs import read_photographs
from tasks.datasets.downloaded.raw_files import PHOTOGRAPHS
from tasks.datasets.own_images import read_parts

if TYPE_CHECKING:
    from torch import Tensor


SPLIT_SEED = 0
# pixels; LeCun et al. 1998 scaled MNIST's digits to this box, in the middle of this square
DIGIT_BOX, DIGIT_SIDE = 20, 28
DIGIT_NAMES = [str(digit) for digit in range(10)]


class Bundled(NamedTuple):
    """A dataset that comes with a library: its classes, what it has, and what reads it.

    ``read`` returns ``n`` images (n, *image_shape) uint8 and labels (n,) int64. A fifth of them
    becomes the test images.
    """

    classes: list[str]
    n: int
    image_shape: ImageShape
    read: "Callable[[], tuple[Tensor, Tensor]]"


def read_dataset(config: DatasetConfig) -> tuple[Dataset, Reading]:
    """Read a whole dataset. Raises DatasetError if it can be neither read nor downloaded."""
    if config.name in OWN_IMAGES:
        return _read_own(config)
    if config.name in BUNDLED:
        return _split(*BUNDLED[config.name].read()), Reading()
    ensure_raw_files(config.name)
    if config.name in PHOTOGRAPHS:
        return read_photographs(config.name), Reading()
    return _read_mnist_like(config.name), Reading()


def _split(images: "Tensor", labels: "Tensor | None") -> Dataset:
    """A fixed split, stratified by label, shuffled so that the first n images have all classes."""
    train, test = split_places(len(images), labels, TEST_SHARE, SPLIT_SEED)
    if labels is None:
        return Dataset(images[train], images[test])
    return Dataset(images[train], images[test], labels[train], labels[test])


def _read_digits() -> "tuple[Tensor, Tensor]":
    """scikit-learn's 1,797 digits, 8x8 pixels with 17 grey levels.

    They are enlarged to the box of 20x20 pixels in the middle of 28x28, as MNIST's digits are.
    """
    import torch
    from sklearn.datasets import load_digits
    from torch.nn.functional import interpolate, pad

    bunch = load_digits()
    small = torch.from_numpy(bunch.images).float().unsqueeze(1) / 16
    boxes = interpolate(small, size=(DIGIT_BOX, DIGIT_BOX), mode="bilinear", align_corners=False)
    images = pad(boxes, [(DIGIT_SIDE - DIGIT_BOX) // 2] * 4)
    images = (images * 255).round().to(torch.uint8)
    return images, torch.from_numpy(bunch.target).long()


def _read_mnist_like(name: str) -> Dataset:
    from tasks.datasets.downloaded.raw_files import torchvision_class
    from tasks.system.folders import study_data

    options = {"split": "digits"} if name == "emnist" else {}
    images, labels = [], []
    for train in (True, False):
        part = torchvision_class(name)(root=study_data(), train=train, download=False, **options)
        # EMNIST's images are stored transposed
        pixels = part.data.transpose(1, 2) if name == "emnist" else part.data
        images.append(pixels.unsqueeze(1))
        labels.append(part.targets.long())
    return Dataset(*images, *labels)


def _read_own(config: DatasetConfig) -> tuple[Dataset, Reading]:
    """A user's own images, split unless they have train and test parts already."""
    parts, reading = read_parts(config)
    if "all" in parts:
        return _split(*parts["all"]), reading
    # folders list one class after the other, and so may IDX files
    parts = {name: _shuffled(*part) for name, part in parts.items()}
    (train, train_labels), (test, test_labels) = parts["train"], parts["test"]
    return Dataset(train, test, train_labels, test_labels), reading


def _shuffled(images: "Tensor", labels: "Tensor | None") -> "tuple[Tensor, Tensor | None]":
    """In a fixed random order, so that the first n images have all classes."""
    import torch

    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(SPLIT_SEED))
    return images[order], None if labels is None else labels[order]


BUNDLED = {"digits": Bundled(DIGIT_NAMES, 1_797, (1, DIGIT_SIDE, DIGIT_SIDE), _read_digits)}
