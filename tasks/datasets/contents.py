"""What is known of a dataset before it is prepared: its fingerprint and its labels."""

import hashlib

from tasks.datasets import own_images
from tasks.datasets.config import OWN, DatasetConfig
from tasks.datasets.own_images import class_names, files_of
from tasks.system.files import sha256_of


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
