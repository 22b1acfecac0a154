"""Step ``data``: any dataset becomes one file of uint8 tensors, named by its content."""

import hashlib
from pathlib import Path
from typing import Any

from tasks.artifacts.dataset import FILE
from tasks.cache.step import Step
from tasks.datasets.config import DatasetConfig
from tasks.datasets.contents import count_classes, source_fingerprint
from tasks.datasets.dataset import DatasetError
from tasks.datasets.readers import read_dataset


def prepare_dataset(folder: Path, config: DatasetConfig, source: str) -> dict[str, Any]:
    """Read, check, limit and write a dataset. Raises DatasetError if it cannot be had.

    ``source`` is the fingerprint that the raw images had, which is part of the key.
    """
    from safetensors.torch import save_file

    dataset = read_dataset(config)
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


data = Step(prepare_dataset, "data", settings={"config": "dataset", "source": "dataset files"})
