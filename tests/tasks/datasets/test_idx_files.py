"""A user's own IDX files, from files to a prepared dataset; each image has one level of grey."""

import numpy as np
import pytest
import torch

from tasks.datasets.config import DatasetConfig
from tasks.datasets.contents import source_fingerprint, take_inventory
from tasks.datasets.dataset import DatasetError
from tasks.datasets.own_images import files_of, read_parts
from tests.tasks.conftest import prepared
from tests.tasks.datasets.own_files import class_names, flat, levels, of_idx, read, write


def test_idx_files_with_labels(tmp_path):
    write(tmp_path / "idx" / "train-images-idx3-ubyte", flat(0, 20))
    write(tmp_path / "idx" / "train-labels-idx1-ubyte", [0, 2] * 10)
    config = of_idx(tmp_path / "idx")
    assert class_names(config) == ["0", "2"]
    images, labels = read(config)["all"]
    assert levels(images) == [*range(20)]
    assert labels.tolist() == [0, 1] * 10
    result, tensors = prepared(tmp_path / "a", config)
    assert (result["n_train"], result["n_test"], result["n_classes"]) == (16, 4, 2)
    assert torch.bincount(tensors["test_labels"]).tolist() == [2, 2]
    even = [level % 2 for level in levels(tensors["train_images"])]
    assert tensors["train_labels"].tolist() == even


def test_idx_files_without_labels(tmp_path):
    write(tmp_path / "train-images.idx3-ubyte", flat(0))
    config = of_idx(tmp_path)
    assert class_names(config) == []
    images, labels = read(config)["all"]
    assert (levels(images), labels) == ([*range(10)], None)


@pytest.mark.parametrize("test", ["t10k", "test"])
def test_idx_files_in_two_parts(tmp_path, test):
    folder = tmp_path / "idx"
    write(folder / "train-images-idx3-ubyte.gz", flat(0, 12))
    write(folder / "train-labels-idx1-ubyte.gz", [0, 1] * 6)
    write(folder / f"{test}-images-idx3-ubyte", flat(50))
    config = of_idx(folder)
    with pytest.raises(
        DatasetError, match=r"train has classes \(0, 1\), and the 10 images of test"
    ):
        take_inventory(config)
    write(folder / f"{test}-labels-idx1-ubyte", [3] * 10)
    with pytest.raises(DatasetError, match=r"no class is in both parts: train has 0, 1, and test"):
        take_inventory(config)
    write(folder / f"{test}-labels-idx1-ubyte", [1] * 9 + [3])
    result, tensors = prepared(tmp_path / "b", config)
    assert (result["n_train"], result["n_test"], result["n_classes"]) == (12, 10, 3)
    trained = zip(levels(tensors["train_images"]), tensors["train_labels"].tolist(), strict=True)
    assert sorted(trained) == [(level, level % 2) for level in range(12)]
    tested = zip(levels(tensors["test_images"]), tensors["test_labels"].tolist(), strict=True)
    assert sorted(tested) == [(level, 1 + (level == 59)) for level in range(50, 60)]
    assert take_inventory(config).tested == [1]


@pytest.mark.parametrize("channels", [1, 3])
def test_idx_files_may_have_channels(tmp_path, channels):
    write(tmp_path / "train-images-idx4-ubyte", flat(0, shape=(5, 7, channels)))
    assert levels(read(of_idx(tmp_path))["all"][0]) == [*range(10)]


@pytest.mark.parametrize("shape", [(5,), (5, 7, 4), (3, 5, 7)])
def test_idx_files_of_another_shape_are_refused(tmp_path, shape):
    write(tmp_path / "train-images-idx", flat(0, shape=shape))
    with pytest.raises(DatasetError, match=r"train-images-idx has the shape \(10, [35]"):
        read_parts(of_idx(tmp_path))


@pytest.mark.parametrize("labels", [[0, 1] * 4, [[0], [1]] * 5])
def test_labels_that_do_not_match_the_images_are_refused(tmp_path, labels):
    write(tmp_path / "train-images-idx3-ubyte", flat(0))
    write(tmp_path / "train-labels-idx1-ubyte", labels)
    with pytest.raises(DatasetError, match=r"train-labels-idx1-ubyte has labels .* 10 images"):
        read_parts(of_idx(tmp_path))


@pytest.mark.parametrize("first", [0, 1])
def test_idx_labels_are_the_classes_by_their_values(tmp_path, first):
    folder = tmp_path / "idx"
    values = [first + index % 10 for index in range(60)] + [200] * 5
    write(folder / "train-images-idx3-ubyte", flat(0, 65))
    write(folder / "train-labels-idx1-ubyte", values)
    config = of_idx(folder)
    result, tensors = prepared(tmp_path / "a", config)
    classes = [*map(str, range(first, first + 10)), "200"]
    assert (result["classes"], result["n_classes"]) == (classes, 11)
    for part in ("train", "test"):
        found = zip(levels(tensors[f"{part}_images"]), tensors[f"{part}_labels"], strict=True)
        assert all(classes[label] == str(values[level]) for level, label in found)
    assert take_inventory(config).notes == [
        f"11 classes ({', '.join(classes[:5])} and 6 more), 52 training and 13 test images",
        f"11 different labels from {first} to 200",
    ]


def test_rare_idx_labels_are_said(tmp_path):
    for part in ("train", "test"):
        write(tmp_path / f"{part}-images-idx3-ubyte", flat(0, 21))
        write(tmp_path / f"{part}-labels-idx1-ubyte", [0, 1] * 10 + [2 if part == "test" else 0])
    assert take_inventory(of_idx(tmp_path)).notes[1:] == [
        "classes only in test: 2 (1)",
        "labels of fewer than 5 images: 2 (1)",
    ]


def test_idx_labels_in_order_stay_whole_with_a_limit(tmp_path):
    for part in ("train", "test"):
        write(tmp_path / "idx" / f"{part}-images-idx3-ubyte", flat(0, 30))
        write(tmp_path / "idx" / f"{part}-labels-idx1-ubyte", [0] * 20 + [1] * 10)
    config = DatasetConfig(name="idx", path=str(tmp_path / "idx"), train_limit=12)
    _, tensors = prepared(tmp_path / "a", config)
    assert set(tensors["train_labels"].tolist()) == {0, 1}


def test_idx_files_that_are_not_used_are_counted_or_refused(tmp_path):
    write(tmp_path / "train-images-idx3-ubyte", flat(0, 20))
    write(tmp_path / "val-images-idx3-ubyte", flat(0, 20))
    write(tmp_path / "train-label-idx1-ubyte", [0, 1] * 10)
    assert take_inventory(of_idx(tmp_path)).notes == [
        "no labels, 16 training and 4 test images; 2 files ignored: 2 without an ending"
    ]
    write(tmp_path / "t10k-labels-idx1-ubyte", [0, 1] * 10)
    with pytest.raises(DatasetError, match=r"t10k-labels-idx1-ubyte has no file of images"):
        take_inventory(of_idx(tmp_path))
    write(tmp_path / "t10k-images-idx3-ubyte", flat(0, 20))
    write(tmp_path / "test-images-idx3-ubyte", flat(0, 20))
    with pytest.raises(DatasetError, match=r"has files for t10k and test, which mean the same"):
        take_inventory(of_idx(tmp_path))


def test_idx_files_of_other_lengths_are_refused_before_they_are_read(tmp_path):
    write(tmp_path / "train-images-idx3-ubyte", flat(0, 20))
    write(tmp_path / "train-labels-idx1-ubyte", [0, 1] * 9)
    with pytest.raises(DatasetError, match=r"has 18 labels for 20 images; expected one label"):
        take_inventory(of_idx(tmp_path))
    write(tmp_path / "train-images-idx3-ubyte", flat(0, 9))
    with pytest.raises(DatasetError, match=r"9 images in .* are too few; at least 10"):
        take_inventory(of_idx(tmp_path))


@pytest.mark.parametrize("other", ["train-images-a", "train-images-idx3-ubyte.gz", "train-images0"])
def test_an_exact_name_is_taken_before_one_that_begins_like_it(tmp_path, other):
    write(tmp_path / "train-images-idx3-ubyte", flat(0))
    write(tmp_path / other, flat(50))
    assert levels(read(of_idx(tmp_path))["all"][0]) == [*range(10)]


def test_several_names_that_begin_alike_are_refused(tmp_path):
    for name in ("train-images-a", "train-images-b"):
        write(tmp_path / name, flat(0))
    said = "has 2 files for train-images: train-images-a, train-images-b; name the right one train-"
    with pytest.raises(DatasetError, match=said):
        files_of(of_idx(tmp_path))


def test_idx_images_that_would_fill_the_memory_are_named(tmp_path):
    write(tmp_path / "train-images-idx3-ubyte", np.zeros((100, 1, 12_000)))
    config = DatasetConfig(name="idx", path=str(tmp_path), shape="pad")
    with pytest.raises(DatasetError, match=r"train-images-idx3-ubyte .*: 12,000 x 1 pixels are"):
        read_parts(config)
    assert read(of_idx(tmp_path))["all"][0].shape == (100, 1, 28, 28)


def test_the_fingerprint_of_idx_files_follows_images_and_labels(tmp_path):
    images, labels = (tmp_path / f"train-{part}-idx-ubyte" for part in ("images", "labels"))
    write(images, flat(0))
    config = of_idx(tmp_path)
    found = [source_fingerprint(config)]
    for path, values in ((labels, [0, 1] * 5), (labels, [1, 0] * 5), (images, flat(1))):
        write(path, values)
        found.append(source_fingerprint(config))
    assert len(set(found)) == 4
    assert [path.name for path in files_of(config).parts["all"].images] == [
        "train-images-idx-ubyte"
    ]
