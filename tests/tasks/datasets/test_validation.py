"""Training images that are set aside for validation."""

import pytest
import torch
from pydantic import ValidationError

from tasks.datasets.config import DatasetConfig
from tasks.datasets.contents import take_inventory
from tasks.datasets.dataset import Dataset, DatasetError
from tasks.datasets.readers import read_dataset
from tasks.steps.data import prepare_dataset


def dataset(n, labels=None):
    images = torch.arange(n, dtype=torch.uint8).reshape(n, 1, 1, 1).expand(n, 1, 4, 4).contiguous()
    return Dataset(images, images[:2], labels, None if labels is None else labels[:2])


def test_images_set_aside_are_equal_shares_of_each_class_and_no_longer_trained_on():
    labels = torch.arange(100) % 4
    found = dataset(100, labels).with_validation(20)
    assert found.validation_labels.bincount().tolist() == [5, 5, 5, 5]
    aside, kept = (set(part[:, 0, 0, 0].tolist()) for part in (found[4], found[0]))
    assert len(aside) == 20
    assert aside | kept == set(range(100))
    assert not aside & kept
    assert torch.equal(found.train_labels, found.train_images[:, 0, 0, 0].long() % 4)
    assert torch.equal(found.test_images, dataset(100).test_images)


def test_the_choice_is_the_same_every_time_and_none_without_a_number():
    first, second = (dataset(50).with_validation(10) for _ in range(2))
    assert torch.equal(first.validation_images, second.validation_images)
    assert dataset(50).with_validation(0).validation_images is None


def test_a_class_with_one_image_cannot_be_in_both_parts():
    labels = torch.cat([torch.zeros(49), torch.ones(1)]).long()
    with pytest.raises(DatasetError, match="a class has a single training image"):
        dataset(50, labels).with_validation(10)


@pytest.mark.parametrize(("asked", "n"), [(0.1, 144), (200, 200)])
def test_a_share_or_a_number_is_counted_and_written(tmp_path, asked, n):
    config = DatasetConfig(name="digits", validation=asked)
    inventory = take_inventory(config)
    assert (inventory.n_train, inventory.n_validation) == (1_437 - n, n)
    result = prepare_dataset(tmp_path, config, "digits")
    assert (result["n_train"], result["n_validation"]) == (1_437 - n, n)
    without = prepare_dataset(tmp_path, DatasetConfig(name="digits"), "digits")
    assert without["sha256"] != result["sha256"]


def test_the_limit_counts_before_images_are_set_aside():
    config = DatasetConfig(name="digits", train_limit=100, validation=0.2)
    assert take_inventory(config).n_train == 80
    assert any("set aside" in note for note in take_inventory(config).notes)
    assert len(read_dataset(config)[0].train_images) == 1_437


@pytest.mark.parametrize("value", [0, 1, 9, -0.1, 1.0, 1.5, True, "0.1", float("nan")])
def test_what_is_no_share_and_no_number_is_refused(value):
    with pytest.raises(ValidationError, match="should be a share between 0 and 1"):
        DatasetConfig(name="digits", validation=value)


@pytest.mark.parametrize("value", [1_435, 0.999, 0.001])
def test_too_few_images_on_either_side_are_refused_in_one_line(value):
    with pytest.raises(DatasetError, match="both need at least 10") as caught:
        take_inventory(DatasetConfig(name="digits", validation=value))
    assert "\n" not in str(caught.value)
