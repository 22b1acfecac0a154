"""The raw files of downloaded datasets: where they are stored, and whether they are intact."""

import math
import re
import struct
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tasks.system.files import md5_of, read_regular_file, sha256_of
from tasks.system.folders import study_data

# MD5 of the uncompressed files, as published for MNIST.
MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
TORCHVISION_CLASSES = {
    "mnist": "MNIST",
    "fashion_mnist": "FashionMNIST",
    "kmnist": "KMNIST",
    "emnist": "EMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
    "svhn": "SVHN",
}
SVHN_PARTS = ("train", "test")  # without its extra images
PHOTOGRAPHS = ("cifar10", "cifar100", "svhn")  # in colour, not in MNIST's format
RECORD_BYTES = 64  # more than a record has
# numbers of training and test images
IMAGE_COUNTS = dict.fromkeys(("mnist", "fashion_mnist", "kmnist"), (60_000, 10_000))
IMAGE_COUNTS["emnist"] = (240_000, 40_000)
IMAGE_COUNTS |= dict.fromkeys(("cifar10", "cifar100"), (50_000, 10_000))
IMAGE_COUNTS["svhn"] = (73_257, 26_032)


class RawFile(NamedTuple):
    """One uncompressed file, its published MD5 if there is one.

    An IDX file has a number of images; the MD5 of others is always published.
    """

    path: Path
    md5: str | None
    n_images: int | None = None

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape that an IDX file's header must declare: images (n, 28, 28), labels (n,)."""
        if self.n_images is None:
            return None
        return (self.n_images, 28, 28) if "images" in self.path.name else (self.n_images,)


def torchvision_class(name: str) -> Any:
    """torchvision's class for a dataset, which has no types."""
    import torchvision.datasets

    return getattr(torchvision.datasets, TORCHVISION_CLASSES[name])


def raw_files(name: str) -> list[RawFile]:
    """The uncompressed files of a dataset in torchvision's layout below STUDY_DATA."""
    return _files_of_photographs(name) if name in PHOTOGRAPHS else _idx_files(name)


def _files_of_photographs(name: str) -> list[RawFile]:
    """Files whose MD5 torchvision's class has."""
    cls = torchvision_class(name)
    if name == "svhn":
        folder, listed = study_data() / "SVHN", [cls.split_list[part][1:] for part in SVHN_PARTS]
    else:
        folder, meta = study_data() / cls.base_folder, (cls.meta["filename"], cls.meta["md5"])
        listed = [*cls.train_list, *cls.test_list, meta]
    return [RawFile(folder / file, md5) for file, md5 in listed]


def _idx_files(name: str) -> list[RawFile]:
    folder = study_data() / TORCHVISION_CLASSES[name] / "raw"
    prefix = "emnist-digits-" if name == "emnist" else ""
    train, test = IMAGE_COUNTS[name]
    second = "test" if name == "emnist" else "t10k"
    files = []
    for part, count in (("train", train), (second, test)):
        for content in ("images-idx3-ubyte", "labels-idx1-ubyte"):
            file_name = f"{prefix}{part}-{content}"
            md5 = MNIST_MD5[file_name] if name == "mnist" else None
            files.append(RawFile(folder / file_name, md5, count))
    return files


def md5_record(file: RawFile) -> Path:
    """The file that records the MD5 of a raw file that came from a verified archive."""
    return file.path.with_name(file.path.name + ".md5")


def expected_md5(file: RawFile) -> str | None:
    """The published MD5 of a raw file, or the recorded one; None if there is neither.

    Anything else in the place of a record counts as none.
    """
    if file.md5 is not None:
        return file.md5
    try:
        found = read_regular_file(md5_record(file), RECORD_BYTES).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return found if re.fullmatch("[0-9a-f]{32}", found) else None


def find_fault(file: RawFile) -> str | None:
    """What is wrong with a raw file; None if nothing is.

    Size and header of an IDX file must be right. The content must match the published MD5, or the
    MD5 that was recorded when the file was unpacked from a verified archive, if there is either.
    """
    if not file.path.is_file():
        return "is missing"
    try:
        if file.shape is not None and (fault := _fault_of_header(file.path, file.shape)):
            return fault
        md5 = expected_md5(file)
        if md5 is not None and md5_of(file.path) != md5:
            return "does not match its checksum"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None


def _fault_of_header(path: Path, shape: tuple[int, ...]) -> str | None:
    header = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
    expected, found = len(header) + math.prod(shape), path.stat().st_size
    if found != expected:
        return f"has {found:,} bytes instead of {expected:,}"
    with path.open("rb") as stream:
        start = stream.read(len(header))
    return None if start == header else "does not start with the expected IDX header"


def unverified_files(name: str) -> list[RawFile]:
    """The raw files of a dataset that are used although no checksum says what they must contain.

    All others are verified before use, and downloaded if they are missing or damaged.
    """
    if name in PHOTOGRAPHS:  # without torchvision's classes, whose import takes a second
        return []
    return [file for file in raw_files(name) if expected_md5(file) is None and not find_fault(file)]


def content_digest(path: Path) -> str:
    """SHA-256 of a file's content, in hex. A file that does not change is read only once."""
    status = path.stat()
    return _digest_of(path, (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))


@cache
def _digest_of(path: Path, _status: tuple[int, ...]) -> str:
    return sha256_of(path)
