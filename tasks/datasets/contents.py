"""What is known about a dataset before it is prepared: its fingerprint and its labels."""

import hashlib
from functools import partial

from tasks.datasets import own_images
from tasks.datasets.config import OWN_IMAGES, DatasetConfig
from tasks.datasets.dataset import DatasetError
from tasks.datasets.images import MOST_BYTES
from tasks.datasets.own_images import class_names, files_of
from tasks.datasets.raw_files import content_digest, find_fault, raw_files, unverified_files
from tasks.system.files import sha256_of


def count_classes(config: DatasetConfig) -> int:
    """The number of classes, 0 without labels. Raises DatasetError if there are no images."""
    return len(class_names(config)) if config.name in OWN_IMAGES else 10


def labels_in(config: DatasetConfig) -> list[int]:
    """The sorted labels that occur; empty without labels.

    Raises DatasetError if there are no images.
    """
    return own_images.labels_in(config) if config.name in OWN_IMAGES else list(range(10))


def source_fingerprint(config: DatasetConfig) -> str:
    """What identifies the raw images: the name of the dataset, or a SHA-256.

    The name identifies a dataset whose files are all fixed by checksums, or missing: they are
    downloaded and checked. Files that no checksum fixes count by their names and contents: a user's
    own, and those of a downloadable dataset that were put there by hand.
    Raises DatasetError if there are no images, or files that cannot be read.
    """
    if config.path is None:
        files = [] if config.name == "digits" else unverified_files(config.name)
        paths = {file.path.name: file.path for file in files}
        if not paths:
            return config.name
    else:
        parts = files_of(config).values()
        found = [one for part in parts for one in (*part.images, part.labels) if one]
        paths = {path.relative_to(config.path).as_posix(): path for path in found}
    digest_of = partial(sha256_of, limit=MOST_BYTES) if config.path else content_digest
    sha256 = hashlib.sha256()
    for name, path in paths.items():
        try:
            # a name may hold bytes that are not UTF-8
            sha256.update(f"{name}\0{digest_of(path)}\n".encode(errors="surrogateescape"))
        except OSError as error:
            raise DatasetError(
                f"cannot read {path}: {error.strerror}; replace or remove it"
            ) from None
    return sha256.hexdigest()


def check_unchanged(config: DatasetConfig, source: str) -> None:
    """Check that the raw images, which were just read, are those of an earlier fingerprint.

    Raises DatasetError if they changed.
    """
    files = [] if config.path or config.name == "digits" else raw_files(config.name)
    damaged = any(find_fault(file) for file in files)
    if damaged or source_fingerprint(config) != source:
        folder = files[0].path.parent if files else config.path
        raise DatasetError(
            f"dataset: the files in {folder} changed while the study was running; run it again "
            "when they no longer change"
        )
