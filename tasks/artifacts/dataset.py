"""A prepared dataset of the store, loaded."""

from functools import lru_cache
from pathlib import Path

from tasks.cache.entry import Entry
from tasks.datasets.dataset import Dataset

FILE = "dataset.safetensors"


def load_dataset(entry: Entry) -> Dataset:
    """The tensors of a prepared dataset, not to be changed: a process reads them once."""
    return _load(entry.path(FILE), entry.fingerprint)


@lru_cache(maxsize=1)
def _load(path: Path, fingerprint: str) -> Dataset:
    from safetensors.torch import load_file

    return Dataset(**load_file(path))
