"""Loads a prepared dataset from its store entry."""

from functools import lru_cache
from pathlib import Path

from tasks.cache.entry import Entry, loading
from tasks.datasets.dataset import Dataset

DATASET_FILE = "dataset.safetensors"


def load_dataset(entry: Entry) -> Dataset:
    """The tensors of a prepared dataset.

    Raises UnusableEntryError if the entry holds something else.

    Trap: do not change them. A process reads the file once, and its tasks share the tensors.
    """
    with loading(entry):
        return _load(entry.path(DATASET_FILE), entry.fingerprint)


@lru_cache(maxsize=1)
def _load(path: Path, fingerprint: str) -> Dataset:
    from safetensors.torch import load_file

    return Dataset(**load_file(path))
