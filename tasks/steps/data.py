"""Step ``data``: writes a dataset to one file of tensors, identified by their digest."""

import hashlib
from pathlib import Path

from tasks.artifacts.dataset import DATASET_FILE
from tasks.cache.step import Result, Step
from tasks.datasets.config import DatasetConfig
from tasks.datasets.contents import check_unchanged, take_inventory
from tasks.datasets.dataset import Dataset
from tasks.datasets.readers import read_dataset


def prepare_dataset(folder: Path, config: DatasetConfig, source: str) -> Result:
    """Read, check, limit and write a dataset: images (n, c, h, w) uint8, labels (n,) int64.

    ``source`` is the fingerprint of the raw images when the run started, which is part of the key.

    Raises DatasetError if the dataset cannot be read or downloaded, or changed meanwhile.
    """
    from safetensors.torch import save_file

    inventory = take_inventory(config)
    classes = inventory.classes
    dataset, reading = read_dataset(config)
    check_unchanged(config, source)
    limits = {"train": config.train_limit, "test": config.test_limit}
    limited = {
        name: tensor[: limits[name.partition("_")[0]]].contiguous()
        for name, tensor in dataset.tensors().items()
    }
    tensors = Dataset(**limited).with_validation(inventory.n_validation).tensors()
    save_file(tensors, folder / DATASET_FILE)
    sha256 = hashlib.sha256()
    for tensor in tensors.values():
        sha256.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        sha256.update(tensor.numpy().data)  # without a copy
    return {
        "name": config.name,
        "sha256": sha256.hexdigest(),
        "image_shape": list(dataset.image_shape),
        "n_train": len(tensors["train_images"]),
        "n_test": len(tensors["test_images"]),
        "n_validation": inventory.n_validation,
        "n_classes": len(classes),
        "classes": classes,
        "levels": None if reading.levels is None else list(reading.levels),
        "skipped": reading.skipped,
        "notes": list(reading.notes),
    }


data = Step(prepare_dataset, "data", settings={"config": "dataset", "source": "dataset files"})
