"""A user's own image files, from files to a prepared dataset; each image has one level of grey."""

import os
import shutil

import pytest
import torch
from PIL import Image

from tasks.datasets.contents import source_fingerprint, take_inventory
from tasks.datasets.dataset import DatasetError
from tasks.datasets.own_images import read_parts
from tests.special_files import replace_file
from tests.tasks.conftest import prepared
from tests.tasks.datasets.own_files import (
    class_names,
    damage,
    flat,
    levels,
    of_folder,
    of_idx,
    pictures,
    read,
    write,
)


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
    assert (padded[:, :, 0] == 0).all()


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


@pytest.mark.parametrize("n_bad", [11, 12])
def test_a_class_that_bad_files_leave_too_small_is_named_with_what_was_skipped(tmp_path, n_bad):
    for name, first in {"cat": 0, "dog": 50, "emu": 100}.items():
        pictures(tmp_path / "images" / name, first, n=12)
    damage(tmp_path / "images", n_bad)
    said = (
        "25 images in 3 classes are too few to set a fifth aside; every class needs at least 5, "
        "unlike cat (1)"
        if n_bad == 11
        else "no image of cat can be read; replace or remove these"
    )
    with pytest.raises(DatasetError) as error:
        prepared(tmp_path / "a", of_folder(tmp_path / "images", on_bad_image="skip"))
    skipped = f"; skipped {n_bad} of 36 images that cannot be read (cat/000.png: its content is"
    assert str(error.value).startswith(f"dataset.path: {said}{skipped}")


def test_folders_without_images_are_explained(tmp_path):
    with pytest.raises(DatasetError, match=r"no images in .*<path>/<class>/<image>\.png, or"):
        source_fingerprint(of_folder(tmp_path))
    with pytest.raises(DatasetError, match=r"no images in .*<path>/train-images-idx3-ubyte"):
        take_inventory(of_idx(tmp_path))
    pictures(tmp_path / "train" / "cat", 0)
    (tmp_path / "test").mkdir()
    with pytest.raises(DatasetError, match=r"dataset\.path: no test images in "):
        read_parts(of_folder(tmp_path))
    write(tmp_path / "test-images-idx3-ubyte", flat(0))
    with pytest.raises(DatasetError, match=r"dataset\.path: no train images in "):
        read_parts(of_idx(tmp_path))


@pytest.mark.parametrize("of", [of_folder, of_idx])
def test_a_path_that_leads_to_no_folder_is_named_with_the_reason(tmp_path, of):
    (tmp_path / "a.zip").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    said = {
        "missing": "does not exist; name the folder of images (a path in a study file starts at",
        "a.zip/images": "does not exist; name the folder",
        "a.zip": "is a file; name the folder of images (of an archive: unpack it first)",
        "pipe": "is no folder; name the folder of images",
    }
    for name, words in said.items():
        for check in (take_inventory, source_fingerprint):
            with pytest.raises(DatasetError) as error:
                check(of(tmp_path / name))
            assert str(error.value).startswith(f"dataset.path: {tmp_path / name} {words}")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    pictures(tmp_path / "cat", 0)
    (tmp_path / "cat" / "003.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"dataset\.path: cannot read .*cat/003\.png"):
        read_parts(of_folder(tmp_path))


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
