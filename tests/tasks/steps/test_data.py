from typing import get_args

import pytest
import torch

from tasks.artifacts.dataset import load_dataset
from tasks.cache.entry import Entry
from tasks.datasets.config import DatasetConfig, DatasetName
from tasks.datasets.contents import source_fingerprint, take_inventory
from tasks.datasets.dataset import Dataset, DatasetError
from tasks.datasets.readers import BUNDLED, read_dataset
from tests.tasks.conftest import prepared


def test_digits_are_split_evenly_and_always_the_same_way(tmp_path):
    config = DatasetConfig(name="digits")
    result, tensors = prepared(tmp_path / "a", config)
    assert (result["n_train"], result["n_test"], result["n_classes"]) == (1437, 360, 10)
    inventory = take_inventory(config)
    assert (inventory.n_train, inventory.n_test, inventory.classes) == (
        1437,
        360,
        result["classes"],
    )
    assert tensors["train_images"].shape == (1437, 1, 28, 28)
    assert result["image_shape"] == [1, 28, 28]
    assert tensors["train_images"].dtype == torch.uint8
    counts = torch.bincount(tensors["test_labels"])
    assert counts.min() >= 34
    assert counts.max() <= 38
    assert prepared(tmp_path / "b", config)[0]["sha256"] == result["sha256"]


def test_limits_cut_and_change_the_fingerprint(tmp_path):
    full, _ = prepared(tmp_path / "a", DatasetConfig(name="digits"))
    config = DatasetConfig(name="digits", train_limit=100, test_limit=50)
    cut, tensors = prepared(tmp_path / "b", config)
    assert (cut["n_train"], cut["n_test"], len(tensors["test_labels"])) == (100, 50, 50)
    assert cut["sha256"] != full["sha256"]


@pytest.mark.parametrize("name", ["digits", "mnist", "emnist"])
def test_fixed_datasets_are_known_without_their_files(name):
    config = DatasetConfig(name=name)
    assert source_fingerprint(config) == name
    assert len(take_inventory(config).classes) == 10


@pytest.mark.parametrize("name", BUNDLED)
def test_a_dataset_that_comes_with_a_library_has_what_is_said_of_it(name):
    assert name in get_args(DatasetName)
    said = BUNDLED[name]
    images, labels = said.read()
    assert images.dtype == torch.uint8
    assert images.shape == (said.n, *said.image_shape)
    assert sorted(labels.unique().tolist()) == [*range(len(said.classes))]
    dataset, _ = read_dataset(DatasetConfig(name=name))
    inventory = take_inventory(DatasetConfig(name=name))
    assert len(dataset.train_images) == inventory.n_train
    assert len(dataset.test_images) == inventory.n_test


def test_load_dataset_reads_an_entry(home):
    folder = home / "store" / "data" / "k"
    folder.parent.mkdir(parents=True)
    result, _ = prepared(folder, DatasetConfig(name="digits", train_limit=20, test_limit=10))
    empty = {"inputs": {}, "code": {}, "files": {}, "provenance": {}}
    entry = Entry(task="data", key="k", name="data", result=result, seconds=0, **empty)
    assert load_dataset(entry).test_images.shape == (10, 1, 28, 28)


IMAGES = torch.zeros(12, 1, 28, 28, dtype=torch.uint8)


def test_examples_are_the_first_of_each_class():
    labels = torch.tensor([2, 2, 0, 2, 1, 0])
    assert Dataset(IMAGES, IMAGES[:6], torch.arange(12), labels).examples() == [2, 4, 0]
    assert Dataset(IMAGES, IMAGES, torch.arange(12), torch.arange(12)).examples() == [*range(10)]


def test_examples_without_labels_are_the_first():
    assert Dataset(IMAGES, IMAGES).examples() == [*range(10)]
    assert Dataset(IMAGES, IMAGES[:3]).examples() == [0, 1, 2]


def test_a_dataset_without_labels_gives_none():
    labels = torch.arange(12)
    assert [part.tolist() for part in Dataset(IMAGES, IMAGES, labels, labels + 1).labels()] == [
        [*range(12)],
        [*range(1, 13)],
    ]
    unlabelled = Dataset(IMAGES, IMAGES)
    assert unlabelled.tensors().keys() == {"train_images", "test_images"}
    with pytest.raises(DatasetError, match="no labels"):
        unlabelled.labels()
