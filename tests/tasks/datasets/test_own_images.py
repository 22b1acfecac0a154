"""A user's own images, from files to a prepared dataset; each image has one level of grey."""

import gzip
import os
import shutil
import struct

import numpy as np
import pytest
import torch
from PIL import Image

from tasks.datasets.config import DatasetConfig
from tasks.datasets.contents import source_fingerprint, take_inventory
from tasks.datasets.dataset import DatasetError
from tasks.datasets.own_images import files_of, read_parts
from tests.special_files import replace_file
from tests.tasks.conftest import prepared


def pictures(folder, first, n=10):
    """Write image files with the levels first, first + 1, ..., in the order of their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for level in range(first, first + n):
        Image.new("L", (40, 30), level).save(folder / f"{level:03d}.png")


def of_folder(path, **options):
    return DatasetConfig(name="folder", path=str(path), **options)


def class_names(config):
    return take_inventory(config).classes


def read(config):
    """The images and labels of each part."""
    return read_parts(config)[0]


def levels(images):
    """The level of each image, which has only one."""
    assert images.shape[1:] == (28, 28)
    assert images.dtype == torch.uint8
    assert (images == images[:, :1, :1]).all()
    return images[:, 0, 0].tolist()


def test_subfolders_are_classes_in_the_order_of_their_names(tmp_path):
    pictures(tmp_path / "dog", 50)
    pictures(tmp_path / "cat" / "tabby", 0)
    config = of_folder(tmp_path)
    assert class_names(config) == ["cat", "dog"]
    ((part, (images, labels)),) = read(config).items()
    assert part == "all"
    assert levels(images) == [*range(10), *range(50, 60)]
    assert labels.tolist() == [0] * 10 + [1] * 10
    assert labels.dtype == torch.long


def test_a_fifth_of_every_class_becomes_the_test_set(tmp_path):
    pictures(tmp_path / "images" / "cat", 0)
    pictures(tmp_path / "images" / "dog", 50, n=20)
    result, tensors = prepared(tmp_path / "a", of_folder(tmp_path / "images"))
    assert (result["n_train"], result["n_test"], result["n_classes"]) == (24, 6, 2)
    assert torch.bincount(tensors["test_labels"]).tolist() == [2, 4]
    found = {
        level: label
        for part in ("train", "test")
        for level, label in zip(
            levels(tensors[f"{part}_images"]), tensors[f"{part}_labels"].tolist(), strict=True
        )
    }
    assert found == {level: int(level >= 50) for level in [*range(10), *range(50, 70)]}


def test_a_flat_folder_has_no_labels(tmp_path):
    pictures(tmp_path / "images", 0)
    config = of_folder(tmp_path / "images")
    assert class_names(config) == []
    assert read(config)["all"][1] is None
    result, tensors = prepared(tmp_path / "a", config)
    assert (result["n_train"], result["n_test"], result["n_classes"]) == (8, 2, 0)
    assert tensors.keys() == {"train_images", "test_images"}
    assert {*levels(tensors["train_images"]), *levels(tensors["test_images"])} == {*range(10)}


def test_train_and_test_folders_stay_apart(tmp_path):
    for part, first in {"train": 0, "test": 100}.items():
        pictures(tmp_path / "images" / part / "dog", first, n=11)
        pictures(tmp_path / "images" / part / f"only in {part}", first + 50)
    config = of_folder(tmp_path / "images")
    assert class_names(config) == ["dog", "only in test", "only in train"]
    result, tensors = prepared(tmp_path / "a", config)
    assert (result["n_train"], result["n_test"], result["n_classes"]) == (21, 21, 3)
    for part, first, other in (("train", 0, 2), ("test", 100, 1)):
        labelled = zip(
            levels(tensors[f"{part}_images"]), tensors[f"{part}_labels"].tolist(), strict=True
        )
        dogs = [(level, 0) for level in range(first, first + 11)]
        others = [(level, other) for level in range(first + 50, first + 60)]
        assert sorted(labelled) == dogs + others
    assert set(tensors["train_labels"][:8].tolist()) == {0, 2}  # a limit leaves both classes


def test_parts_without_classes_have_no_labels(tmp_path):
    pictures(tmp_path / "flat" / "train", 0)
    pictures(tmp_path / "flat" / "test", 50)
    _, tensors = prepared(tmp_path / "a", of_folder(tmp_path / "flat"))
    assert tensors.keys() == {"train_images", "test_images"}


def test_hidden_files_and_folders_are_left_out(tmp_path):
    pictures(tmp_path / "train" / "cat", 0)
    pictures(tmp_path / "test" / "cat", 50)
    pictures(tmp_path / ".thumbnails", 200)
    pictures(tmp_path / "train" / ".thumbnails", 200)
    pictures(tmp_path / "test" / "cat" / ".thumbnails", 200)
    shutil.copy(tmp_path / "train" / "cat" / "000.png", tmp_path / "train" / "cat" / "._000.png")
    config = of_folder(tmp_path)
    assert class_names(config) == ["cat"]
    assert {name: levels(images) for name, (images, _) in read(config).items()} == {
        "train": [*range(10)],
        "test": [*range(50, 60)],
    }


def test_images_are_converted_as_chosen(tmp_path):
    pictures(tmp_path / "images", 0)
    plain, _ = prepared(tmp_path / "a", of_folder(tmp_path / "images"))
    config = of_folder(tmp_path / "images", invert=True)
    inverted, tensors = prepared(tmp_path / "b", config)
    found = [*levels(tensors["train_images"]), *levels(tensors["test_images"])]
    assert sorted(found) == [*range(246, 256)]
    assert inverted["sha256"] != plain["sha256"]
    padded = read(of_folder(tmp_path / "images", shape="pad", invert=True))["all"][0]
    assert (padded[:, 0] == 0).all()


def write(path, values):
    """An IDX file of unsigned bytes."""
    values = np.asarray(values, dtype=np.uint8)
    content = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    content += values.tobytes()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def flat(first, n=10, shape=(5, 7)):
    """Images of the levels first, first + 1, ..."""
    level = np.arange(first, first + n).reshape(n, *[1] * len(shape))
    return np.broadcast_to(level, (n, *shape))


def of_idx(path):
    return DatasetConfig(name="idx", path=str(path))


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


def test_a_part_needs_ten_images(tmp_path):
    pictures(tmp_path / "images", 0, n=9)
    with pytest.raises(DatasetError, match=r"9 images in .* are too few; at least 10"):
        read_parts(of_folder(tmp_path / "images"))
    write(tmp_path / "idx" / "train-images-idx3-ubyte", flat(0))
    write(tmp_path / "idx" / "test-images-idx3-ubyte", flat(0, 4))
    with pytest.raises(DatasetError, match=r"4 images in .* are too few; at least 10"):
        read_parts(of_idx(tmp_path / "idx"))


def test_classes_that_are_too_small_to_split_are_refused(tmp_path):
    pictures(tmp_path / "images" / "cat", 0)
    pictures(tmp_path / "images" / "dog", 50, n=1)
    with pytest.raises(DatasetError, match=r"11 images in 2 classes .* at least 5"):
        prepared(tmp_path / "a", of_folder(tmp_path / "images"))


def test_folders_without_images_are_explained(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(DatasetError, match=r"no images in .*<path>/<class>/<image>\.png, or"):
            source_fingerprint(of_folder(path))
        with pytest.raises(DatasetError, match=r"no images in .*<path>/train-images-idx3-ubyte"):
            take_inventory(of_idx(path))
    pictures(tmp_path / "train" / "cat", 0)
    (tmp_path / "test").mkdir()
    with pytest.raises(DatasetError, match=r"dataset\.path: no test images in "):
        read_parts(of_folder(tmp_path))
    write(tmp_path / "test-images-idx3-ubyte", flat(0))
    with pytest.raises(DatasetError, match=r"dataset\.path: no train images in "):
        read_parts(of_idx(tmp_path))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    pictures(tmp_path / "cat", 0)
    (tmp_path / "cat" / "003.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"dataset\.path: cannot read .*cat/003\.png"):
        read_parts(of_folder(tmp_path))


def damage(root, n):
    for index in range(n):
        (root / "cat" / f"{index:03d}.png").write_bytes(b"no picture")


def test_all_files_that_cannot_be_read_are_counted_and_ten_are_named(tmp_path):
    pictures(tmp_path / "cat", 0, n=20)
    pictures(tmp_path / "dog", 50)
    damage(tmp_path, 12)
    with pytest.raises(DatasetError) as error:
        read_parts(of_folder(tmp_path))
    assert str(error.value).startswith(f"dataset.path: cannot read 12 of 30 images in {tmp_path} (")
    assert str(error.value).endswith(
        "; and 2 more); replace or remove them, or set dataset.on_bad_image: skip"
    )
    assert str(error.value).count("cat/0") == 10


def test_files_that_cannot_be_read_may_be_skipped(tmp_path):
    for part, first in {"train": 0, "test": 50}.items():
        pictures(tmp_path / "images" / part / "cat", first, n=15)
        pictures(tmp_path / "images" / part / "dog", first + 30, n=15)
    damage(tmp_path / "images" / "train", 2)
    (tmp_path / "images" / "test" / "dog" / "085.png").write_bytes(b"")
    result, tensors = prepared(tmp_path / "a", of_folder(tmp_path / "images", on_bad_image="skip"))
    assert (result["n_train"], result["n_test"], result["skipped"]) == (28, 29, 3)
    assert sorted(levels(tensors["train_images"])) == [*range(2, 15), *range(30, 45)]
    assert sorted(levels(tensors["test_images"])) == [
        *range(50, 65),
        *range(80, 85),
        *range(86, 95),
    ]
    assert torch.bincount(tensors["train_labels"]).tolist() == [13, 15]
    assert torch.bincount(tensors["test_labels"]).tolist() == [15, 14]
    (note,) = [note for note in result["notes"] if "skipped" in note]
    assert note.startswith("skipped 3 of 60 images that cannot be read (train/cat/000.png: its con")


def test_a_file_without_permission_may_be_skipped_too(tmp_path):
    pictures(tmp_path / "images" / "cat", 0, n=20)
    replace_file(tmp_path / "images" / "cat" / "003.png", "pipe", tmp_path / "elsewhere")
    config = of_folder(tmp_path / "images", on_bad_image="skip")
    assert prepared(tmp_path / "a", config)[0]["skipped"] == 1


def test_a_class_of_bad_files_is_not_lost_silently(tmp_path):
    pictures(tmp_path / "cat", 0)
    pictures(tmp_path / "dog", 50, n=20)
    damage(tmp_path, 10)
    with pytest.raises(DatasetError, match=r"no image of cat can be read; replace or remove"):
        read_parts(of_folder(tmp_path, on_bad_image="skip"))


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


def test_a_limit_below_the_number_of_classes_is_refused(tmp_path):
    for label in range(12):
        pictures(tmp_path / str(label), 0)
    with pytest.raises(DatasetError, match=r"10 test images cannot have 12 classes each; raise"):
        take_inventory(of_folder(tmp_path, test_limit=10))


def test_the_reasons_are_said_if_bad_files_leave_too_few(tmp_path):
    pictures(tmp_path / "cat", 0, n=12)
    for name in os.listdir(tmp_path / "cat"):
        (tmp_path / "cat" / name).rename(tmp_path / name)
    (tmp_path / "cat").rmdir()
    for index in range(5):
        (tmp_path / f"{index:03d}.png").write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"7 images in .* too few.*; skipped 5 of 12 images"):
        read_parts(of_folder(tmp_path, on_bad_image="skip"))


@pytest.mark.parametrize("kind", ["pipe", "device", "huge"])
def test_only_regular_files_have_a_fingerprint(tmp_path, kind):
    pictures(tmp_path / "images", 0)
    replace_file(tmp_path / "images" / "003.png", kind, tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match=r"^cannot read .*/003\.png: is (not a reg|larger)"):
        source_fingerprint(of_folder(tmp_path / "images"))
    write(tmp_path / "idx" / "train-images-idx3-ubyte", flat(0))
    write(tmp_path / "idx" / "train-labels-idx1-ubyte", [0, 1] * 5)
    replace_file(tmp_path / "idx" / "train-labels-idx1-ubyte", kind, tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match=r"^cannot read .*train-labels.*: is (not a reg|larger)"):
        source_fingerprint(of_idx(tmp_path / "idx"))
    with pytest.raises(DatasetError, match=r"train-labels-idx1-ubyte is not an IDX file: is "):
        class_names(of_idx(tmp_path / "idx"))


def test_a_link_to_an_image_has_the_fingerprint_of_the_image(tmp_path):
    pictures(tmp_path / "images", 0)
    before = source_fingerprint(of_folder(tmp_path / "images"))
    replace_file(tmp_path / "images" / "003.png", "link", tmp_path / "elsewhere")
    assert source_fingerprint(of_folder(tmp_path / "images")) == before


@pytest.mark.parametrize("place", ["cat", "."])
def test_a_folder_named_like_an_image_is_a_folder(tmp_path, place):
    pictures(tmp_path / "cat", 0)
    pictures(tmp_path / place / "d.png", 50)
    config = of_folder(tmp_path)
    assert class_names(config) == (["cat"] if place == "cat" else ["cat", "d.png"])
    assert levels(read(config)["all"][0]) == [*range(10), *range(50, 60)]
    assert source_fingerprint(config)


def test_a_name_that_is_not_utf_8_counts_in_the_fingerprint(tmp_path):
    pictures(tmp_path / "cat", 0)
    before = source_fingerprint(of_folder(tmp_path))
    renamed = os.fsdecode(os.fsencode(tmp_path / "cat") + b"/003\xff.png")
    (tmp_path / "cat" / "003.png").rename(renamed)
    assert source_fingerprint(of_folder(tmp_path)) != before
    assert levels(read(of_folder(tmp_path))["all"][0]) == [*range(10)]


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
    assert read(of_idx(tmp_path))["all"][0].shape == (100, 28, 28)


def test_the_fingerprint_of_a_folder_follows_names_and_content_wherever_it_is(tmp_path):
    pictures(tmp_path / "images" / "cat", 0)
    config = of_folder(tmp_path / "images")
    before = source_fingerprint(config)
    shutil.copytree(tmp_path / "images", tmp_path / "copy")
    assert source_fingerprint(of_folder(tmp_path / "copy")) == before
    Image.new("L", (40, 30), 99).save(tmp_path / "images" / "cat" / "000.png")
    changed = source_fingerprint(config)
    (tmp_path / "images" / "cat").rename(tmp_path / "images" / "dog")
    assert len({before, changed, source_fingerprint(config)}) == 3


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
