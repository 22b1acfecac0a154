"""Intact entries whose content is not what their step writes."""

import pytest
import torch
from safetensors.torch import save_file

from models.specs import ModelSpec
from tasks.artifacts.autoencoder import WEIGHTS, load_autoencoder
from tasks.artifacts.classifier import load_classifier
from tasks.artifacts.dataset import DATASET_FILE, load_dataset
from tasks.artifacts.walks import WALKS, load_walks
from tasks.cache.entry import Entry, UnusableEntryError

SPEC = ModelSpec.written(depth=1, latent_dim=2).model_dump()
GOOD_RESULT = {
    "spec": SPEC,
    "architecture": SPEC,
    "image_shape": [1, 28, 28],
    "confusion": [[1, 0], [0, 1]],
}
LOADERS = {
    load_autoencoder: WEIGHTS,
    load_classifier: WEIGHTS,
    load_dataset: DATASET_FILE,
    load_walks: WALKS,
}


def entry_with(result):
    described = {"inputs": {}, "code": {}, "files": {}, "provenance": {}, "seconds": 1.0}
    entry = Entry(task="train", key="abc", name="train[x]", result=result, **described)
    entry.folder.mkdir(parents=True)
    return entry


@pytest.mark.parametrize("loader", LOADERS)
def test_a_file_that_is_not_what_its_name_says_is_named(loader):
    entry = entry_with(GOOD_RESULT)
    entry.path(LOADERS[loader]).write_bytes(b"something else")
    with pytest.raises(UnusableEntryError, match=rf"^train\[x\] holds .*delete {entry.folder} and"):
        loader(entry)


@pytest.mark.parametrize("loader", [load_autoencoder, load_classifier, load_dataset])
def test_other_tensors_are_named(loader):
    entry = entry_with(GOOD_RESULT)
    save_file({"other": torch.zeros(3)}, entry.path(LOADERS[loader]))
    with pytest.raises(UnusableEntryError, match="holds something else"):
        loader(entry)


@pytest.mark.parametrize("result", [{}, {"spec": {"depth": 99}}, {"spec": 3, "architecture": []}])
@pytest.mark.parametrize("loader", [load_autoencoder, load_classifier])
def test_a_result_of_another_form_is_named(loader, result):
    with pytest.raises(UnusableEntryError, match="holds something else"):
        loader(entry_with(result))
