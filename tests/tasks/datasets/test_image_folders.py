"""Folders of images as users have them, and what is said of each."""

import os

import pytest

from tasks.datasets import scanned_folder
from tasks.datasets.config import DatasetConfig
from tasks.datasets.contents import take_inventory
from tasks.datasets.dataset import DatasetError
from tasks.datasets.found_files import describe_ignored, in_natural_order, listed
from tasks.datasets.own_images import files_of
from tests.tasks.datasets.odd_folders import CAT_AND_DOG, PARTS, REFUSED, UNDERSTOOD, write_files
from tests.tasks.datasets.own_files import of_folder


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_an_odd_folder_is_understood_and_said(tmp_path, name):
    files, *said = UNDERSTOOD[name]
    write_files(tmp_path, files)
    assert take_inventory(of_folder(tmp_path)).notes == said


@pytest.mark.parametrize("name", REFUSED)
def test_a_folder_that_may_mean_two_things_is_refused_in_one_line(tmp_path, name):
    files, *said = REFUSED[name]
    write_files(tmp_path, files)
    with pytest.raises(DatasetError) as error:
        take_inventory(of_folder(tmp_path))
    assert all(words in str(error.value) for words in said)
    assert str(error.value).startswith("dataset.path: ")
    assert str(error.value).isprintable()


def test_the_limits_count(tmp_path):
    write_files(tmp_path, PARTS)
    found = take_inventory(of_folder(tmp_path, train_limit=15, test_limit=100))
    assert found.notes == ["2 classes (cat, dog), 15 training and 20 test images"]
    assert (found.n_train, found.n_test) == (15, 20)


def test_what_can_be_read_with_another_library_is_said(tmp_path, monkeypatch):
    write_files(tmp_path, CAT_AND_DOG | {"emu/*.heic": 30, "emu/*.avif": 2})
    monkeypatch.setattr(scanned_folder, "readable_suffixes", lambda: {".png", ".avif"})
    first, *others = take_inventory(of_folder(tmp_path)).notes
    assert first.endswith("; 30 files ignored: 30 .heic")
    assert others == ["to read .heic: pip install 'latent-study[heic]'"]
    monkeypatch.setattr(scanned_folder, "readable_suffixes", lambda: {".png"})
    _, *others = take_inventory(of_folder(tmp_path)).notes
    assert others == [
        "without images that can be read: emu",
        "this Pillow cannot read .avif, .heic; install a newer one",
    ]


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path):
    write_files(tmp_path / "elsewhere", {"more/*.png": 5})
    root = tmp_path / "images"
    write_files(root, CAT_AND_DOG)
    (root / "cat" / "linked").symlink_to(tmp_path / "elsewhere" / "more")
    (root / "cat" / "circle").symlink_to(root)
    (root / "dog" / "itself").symlink_to(root / "dog")
    (root / "dog" / "nowhere").symlink_to(tmp_path / "nowhere")
    (root / "dog" / "circular").symlink_to(root / "dog" / "circular")
    (root / "emu").symlink_to(tmp_path / "elsewhere" / "more")
    found = take_inventory(of_folder(root))
    assert found.notes == [
        "3 classes (cat, dog, emu), 27 training and 7 test images; "
        "4 files ignored: 4 without an ending"
    ]


def test_a_folder_in_many_folders_and_one_of_many_files_are_refused(tmp_path, monkeypatch):
    write_files(tmp_path / "deep", {"a/" * 40 + "*.png": 1})
    with pytest.raises(DatasetError, match=r"40 folders in depth; name the folder of images"):
        take_inventory(of_folder(tmp_path / "deep"))
    write_files(tmp_path / "many", {"cat/*.png": 5, "cat/*.txt": 6})
    monkeypatch.setattr(scanned_folder, "MOST_FILES", 10)
    with pytest.raises(DatasetError, match=r"/many has more than 10 files; name the folder of"):
        take_inventory(of_folder(tmp_path / "many"))


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    write_files(tmp_path, CAT_AND_DOG)
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("dog"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DatasetError, match=r"cannot read .*/dog: Permission denied; name"):
        take_inventory(of_folder(tmp_path))


def test_a_class_whose_name_is_not_utf_8_has_a_name_that_is(tmp_path):
    write_files(tmp_path, CAT_AND_DOG)
    os.rename(tmp_path / "cat", os.fsencode(tmp_path) + b"/ch\xe8vre")
    found = take_inventory(of_folder(tmp_path))
    assert found.classes == ["ch\\xe8vre", "dog"]
    assert len(files_of(of_folder(tmp_path)).parts["all"].images) == 24


def test_two_folders_that_are_shown_alike_are_refused(tmp_path):
    write_files(tmp_path, {"b/*.png": 6, "\\xff/*.png": 9})
    os.mkdir(os.fsencode(tmp_path) + b"/\xff")
    with pytest.raises(DatasetError, match=r"two folders in .* are shown as .xff; rename one"):
        take_inventory(of_folder(tmp_path))


@pytest.mark.parametrize("name", ["folder", "idx"])
def test_a_path_that_is_too_long_is_one_line(name):
    path = f"/tmp/{300 * 'a'}"
    with pytest.raises(DatasetError, match=r"dataset\.path: cannot read /tmp/a+: File name"):
        take_inventory(DatasetConfig(name=name, path=path))


def test_names_are_in_natural_order():
    names = ["10", "2", "01", "1", "b10", "b2", "a", "B2", ""]
    assert in_natural_order([*names, *names]) == ["", "01", "1", "2", "10", "B2", "a", "b2", "b10"]


def test_long_lists_are_cut():
    assert listed("abcde") == "a, b, c, d, e"
    assert listed("abcdefg") == "a, b, c, d, e and 2 more"
    assert describe_ignored(scanned_folder.Counter(a=1)) == "1 file ignored: 1 a"
