"""What is known about a dataset before it is prepared: its fingerprint and its labels."""

import hashlib

from tasks.datasets import own_images
from tasks.datasets.config import OWN_IMAGES, DatasetConfig
from tasks.datasets.own_images import class_names, files_of
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
    """What identifies the raw images: for a user's own files, the SHA-256 of names and contents.

    The files of the other datasets are fixed by their checksums, so the name identifies them.
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
