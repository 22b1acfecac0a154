"""Finds the latents of one autoencoder in the store, and writes them as plain files."""

from pathlib import Path
from typing import TYPE_CHECKING

from models.specs import ConfigError
from tasks.artifacts.latents import load_latents
from tasks.cache import store
from tasks.cache.entry import Entry
from tasks.system.folders import study_home

if TYPE_CHECKING:
    from pandas import DataFrame

    from tasks.artifacts.latents import Latents


def find_latents(model: str) -> Entry:
    """The newest entry of step ``encode`` of the autoencoder with this fingerprint.

    Raises ConfigError if the store of this machine has none.
    """
    folders = (study_home() / "store" / "encode").glob("*")
    newest = sorted(folders, key=lambda folder: folder.stat().st_mtime, reverse=True)
    for folder in newest:
        entry, _ = store.inspect("encode", folder.name)
        if entry is not None and entry.inputs["model"] == model:
            return entry
    raise ConfigError(
        "--latents: the store has no latents of this autoencoder; run its study with "
        "--section representation in this STUDY_HOME"
    )


def write_latents(entry: Entry, folder: Path) -> None:
    """Write ``latents.parquet``, a row for each image, and ``latents.npz``, an array for each part.

    The columns are ``part`` (train or test), ``label`` if there are labels, and ``z0``, ``z1``, ...
    The arrays are ``train``, ``test`` (n, d), ``train_labels``, ``test_labels`` (n,).
    """
    import numpy as np

    latents = load_latents(entry)
    _table(latents).to_parquet(folder / "latents.parquet", index=False)
    arrays = {name: tensor.numpy() for name, tensor in latents.tensors().items()}
    np.savez(folder / "latents.npz", allow_pickle=False, **arrays)


def _table(latents: "Latents") -> "DataFrame":
    from pandas import DataFrame, concat

    parts = []
    for name, vectors, labels in (
        ("train", latents.train, latents.train_labels),
        ("test", latents.test, latents.test_labels),
    ):
        part = DataFrame(vectors.numpy(), columns=[f"z{unit}" for unit in range(vectors.shape[1])])
        if labels is not None:
            part.insert(0, "label", labels.numpy())
        part.insert(0, "part", name)
        parts.append(part)
    return concat(parts, ignore_index=True)
