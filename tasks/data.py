"""Step ``data``: any dataset becomes one file of uint8 tensors, named by its content."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.dataset_config import DatasetConfig
from tasks.sources import DatasetError, ensure
from tasks.step import Step
from tasks.store import Entry

if TYPE_CHECKING:
    from torch import Tensor

FILE = "dataset.safetensors"
SIDE = 28
TEST_SHARE = 0.2
SPLIT_SEED = 0
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}


class Dataset(NamedTuple):
    """Images (n, 28, 28) uint8 and labels (n,) int64, for training and testing."""

    train_images: "Tensor"
    train_labels: "Tensor"
    test_images: "Tensor"
    test_labels: "Tensor"


def load_dataset(entry: Entry) -> Dataset:
    """The tensors of a prepared dataset."""
    from safetensors.torch import load_file

    return Dataset(**load_file(entry.path(FILE)))


def source_fingerprint(config: DatasetConfig) -> str:
    """What identifies the raw images before they are read: a digest of a folder's files.

    The other datasets are fixed by their checksums, so their name is enough.
    Raises DatasetError if the folder holds no images.
    """
    if config.path is None:
        return config.name
    images = _images_below(Path(config.path))
    sha256 = hashlib.sha256()
    for path in images:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        sha256.update(f"{path.relative_to(config.path).as_posix()}\0{content}\n".encode())
    return sha256.hexdigest()


def _images_below(folder: Path) -> list[Path]:
    found = sorted(p for p in folder.glob("*/**/*") if p.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise DatasetError(
            f"dataset.path: no images in class subfolders of {folder.absolute()}; "
            "expected <path>/<class>/<image>.png"
        )
    return found


def prepare_dataset(folder: Path, config: DatasetConfig, source: str) -> dict[str, Any]:
    """Read, check, limit and write a dataset. Raises DatasetError if it cannot be had.

    ``source`` is the fingerprint of the raw images: part of the key, unused in here.
    """
    from safetensors.torch import save_file

    if config.name == "digits":
        dataset = _read_digits()
    elif config.name == "folder":
        dataset = _read_folder(Path(str(config.path)))
    else:
        ensure(config.name)
        dataset = _read_mnist_like(config.name)
    train, test = config.train_limit, config.test_limit
    dataset = Dataset(
        dataset.train_images[:train].contiguous(),
        dataset.train_labels[:train].contiguous(),
        dataset.test_images[:test].contiguous(),
        dataset.test_labels[:test].contiguous(),
    )
    save_file(dataset._asdict(), folder / FILE)
    sha256 = hashlib.sha256()
    for tensor in dataset:
        sha256.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode() + tensor.numpy().tobytes())
    return {
        "name": config.name,
        "sha256": sha256.hexdigest(),
        "n_train": len(dataset.train_labels),
        "n_test": len(dataset.test_labels),
        "n_classes": int(dataset.train_labels.max()) + 1,
    }


def _split(images: "Tensor", labels: "Tensor") -> Dataset:
    """A fixed stratified split, shuffled so that any prefix holds all classes."""
    import torch
    from sklearn.model_selection import train_test_split

    train, test = train_test_split(
        torch.arange(len(labels)).numpy(),
        test_size=TEST_SHARE,
        random_state=SPLIT_SEED,
        stratify=labels.numpy(),
    )
    return Dataset(images[train], labels[train], images[test], labels[test])


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
    parts = []
    for train in (True, False):
        part = dataset_class(name)(root=study_data(), train=train, download=False, **options)
        images = part.data.transpose(1, 2) if name == "emnist" else part.data  # stored on its side
        parts += [images, part.targets.long()]
    return Dataset(*parts)


def _read_folder(path: Path) -> Dataset:
    """Images of any size and colour, one subfolder per class, to 28x28 grey."""
    import torch
    from PIL import UnidentifiedImageError
    from torchvision.datasets import ImageFolder
    from torchvision.transforms.v2 import Compose, Grayscale, PILToTensor, Resize

    convert = Compose([Grayscale(), Resize((SIDE, SIDE)), PILToTensor()])
    try:
        found = ImageFolder(str(path), transform=convert)
        images = torch.cat([image for image, _ in found])
    except (UnidentifiedImageError, FileNotFoundError) as error:
        raise DatasetError(f"dataset.path: {error}") from None
    labels = torch.tensor(found.targets)
    smallest = int(torch.bincount(labels).min())
    if smallest < 2 or len(labels) * TEST_SHARE < len(found.classes):
        raise DatasetError(
            f"dataset.path: {len(labels)} images in {len(found.classes)} classes of {path} "
            "are too few; every class needs at least 5"
        )
    return _split(images, labels)


data = Step(prepare_dataset, "data", settings={"config": "dataset", "source": "dataset files"})
