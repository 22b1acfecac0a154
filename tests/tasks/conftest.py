"""Helpers for tests of prepared datasets."""

from safetensors.torch import load_file

from tasks.artifacts.dataset import DATASET_FILE
from tasks.datasets.contents import source_fingerprint
from tasks.steps.data import prepare_dataset


def prepared(folder, config):
    """Prepare a dataset in a new folder: the result, and the tensors in the folder."""
    folder.mkdir()
    result = prepare_dataset(folder, config, source_fingerprint(config))
    return result, load_file(folder / DATASET_FILE)
