"""Step ``data``: any dataset becomes one file of uint8 tensors, named by its content."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks import own_images
from tasks.dataset_config import OWN, DatasetConfig
from tasks.images import SIDE
from tasks.own_images import class_names, files_of, read_parts
from tasks.sources import DatasetError, ensure
from tasks.step import Step
from tasks.store import Entry, sha256_of

if TYPE_CHECKING:
    from torch import Tensor

FILE = "dataset.safetensors"
TEST_SHARE = 0.2
SPLIT_SEED = 0
EXAMPLES = 10  # test images that pictures show


class Dataset(NamedTuple):
    """Images (n, 28, 28) uint8 for training and testing; labels (n,) int64 if there are any."""

    train_images: "Tensor"
    test_images: "Tensor"
    train_labels: "Tensor | None" = None
    test_labels: "Tensor | None" = None

    def examples(self) -> list[int]:
        """The test images that pictures show: the first of each class, or the first."""
        if self.test_labels is None:
            return list(range(min(EXAMPLES, len(self.test_images))))
        labels = self.test_labels
        return [int((labels == label).nonzero()[0]) for label in labels.unique()[:EXAMPLES]]

    def labels(self) -> "tuple[Tensor, Tensor]":
        """Labels for training and testing. Raises DatasetError if there are none."""
        if self.train_labels is None or self.test_labels is None:
            raise DatasetError("the dataset has no labels")
        return self.train_labels, self.test_labels

    def tensors(self) -> "dict[str, Tensor]":
        """Everything that is there, by name."""
        return {name: tensor for name, tensor in self._asdict().items() if tensor is not None}


def load_dataset(entry: Entry) -> Dataset:
    """The tensors of a prepared dataset, not to be changed: a process reads them once."""
    return _load(entry.path(FILE), entry.fingerprint)


@lru_cache(maxsize=1)
def _load(path: Path, fingerprint: str) -> Dataset:
    from safetensors.torch import load_file

    return Dataset(**load_file(path))


def count_classes(config: DatasetConfig) -> int:
    """How many classes the labels tell apart, 0 without labels."""
    return len(class_names(config)) if config.name in OWN else 10


def labels_in(config: DatasetConfig) -> list[int]:
    """The labels that occur, in order; none without labels."""
    return own_images.labels_in(config) if config.name in OWN else list(range(10))


def source_fingerprint(config: DatasetConfig) -> str:
    """What identifies the raw images before they are read: a digest of a user's own files.

    The other datasets are fixed by their checksums, so their name is enough.
    Raises DatasetError if there are no images.
    """
    if config.path is None:
        return config.name
    sha256 = hashlib.sha256()
    for part in files_of(config).values():
        for path in [*part.images, *([part.labels] if part.labels else [])]:
            name = path.relative_to(config.path).as_posix()
            sha256.update(f"{name}\0{sha256_of(path)}\n".encode())
    return sha256.hexdigest()


def prepare_dataset(folder: Path, config: DatasetConfig, source: str) -> dict[str, Any]:
    """Read, check, limit and write a dataset. Raises DatasetError if it cannot be had.

    ``source`` is the fingerprint that the raw images had, which is part of the key.
    """
    from safetensors.torch import save_file

    if config.name == "digits":
        dataset = _read_digits()
    elif config.name in OWN:
        dataset = _read_own(config)
    else:
        ensure(config.name)
        dataset = _read_mnist_like(config.name)
    if source_fingerprint(config) != source:
        raise DatasetError(
            f"dataset.path: the files in {config.path} are not those that the run started with; "
            "run it again when they do not change any more"
        )
    limits = {"train": config.train_limit, "test": config.test_limit}
    tensors = {
        name: tensor[: limits[name.partition("_")[0]]].contiguous()
        for name, tensor in dataset.tensors().items()
    }
    save_file(tensors, folder / FILE)
    sha256 = hashlib.sha256()
    for tensor in tensors.values():
        sha256.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode() + tensor.numpy().tobytes())
    return {
        "name": config.name,
        "sha256": sha256.hexdigest(),
        "n_train": len(tensors["train_images"]),
        "n_test": len(tensors["test_images"]),
        "n_classes": count_classes(config),
    }


def _split(images: "Tensor", labels: "Tensor | None") -> Dataset:
    """A fixed split, stratified by label, shuffled so that any prefix holds all classes.

    Raises DatasetError if a class is too small for it.
    """
    import torch
    from sklearn.model_selection import train_test_split

    try:
        train, test = train_test_split(
            torch.arange(len(images)).numpy(),
            test_size=TEST_SHARE,
            random_state=SPLIT_SEED,
            stratify=None if labels is None else labels.numpy(),
        )
    except ValueError as error:
        raise DatasetError(
            f"dataset.path: {len(images)} images in {len(labels.unique())} classes are too few; "
            f"every class needs at least 5 ({error})"
            if labels is not None
            else f"dataset.path: {error}"
        ) from None
    if labels is None:
        return Dataset(images[train], images[test])
    return Dataset(images[train], images[test], labels[train], labels[test])


def _read_digits() -> Dataset:
    """scikit-learn's 1,797 digits, 8x8 with 17 grey levels, enlarged to 28x28."""
    import torch
    from sklearn.datasets import load_digits
    from torch.nn.functional import interpolate

    bunch = load_digits()
    small = torch.from_numpy(bunch.images).float().unsqueeze(1) / 16
    images = interpolate(small, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    images = (images.squeeze(1) * 255).round().to(torch.uint8)
    return _split(images, torch.from_numpy(bunch.target).long())


def _read_mnist_like(name: str) -> Dataset:
    from tasks.home import study_data
    from tasks.sources import dataset_class

    options = {"split": "digits"} if name == "emnist" else {}
    images, labels = [], []
    for train in (True, False):
        part = dataset_class(name)(root=study_data(), train=train, download=False, **options)
        # EMNIST is stored on its side
        images.append(part.data.transpose(1, 2) if name == "emnist" else part.data)
        labels.append(part.targets.long())
    return Dataset(*images, *labels)


def _read_own(config: DatasetConfig) -> Dataset:
    """A user's own images, split unless they come in two parts; folders list class after class."""
    parts = read_parts(config)
    if "all" in parts:
        return _split(*parts["all"])
    if config.name == "folder":
        parts = {name: _shuffled(*part) for name, part in parts.items()}
    (train, train_labels), (test, test_labels) = parts["train"], parts["test"]
    return Dataset(train, test, train_labels, test_labels)


def _shuffled(images: "Tensor", labels: "Tensor | None") -> "tuple[Tensor, Tensor | None]":
    """In a fixed order by chance, so that any prefix holds all classes."""
    import torch

    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(SPLIT_SEED))
    return images[order], None if labels is None else labels[order]


data = Step(prepare_dataset, "data", settings={"config": "dataset", "source": "dataset files"})
