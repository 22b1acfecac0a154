import pytest
import torch
from PIL import Image

from tasks.data import FILE, load_dataset, prepare_dataset, source_fingerprint
from tasks.dataset_config import DatasetConfig
from tasks.sources import DatasetError
from tasks.store import Entry


def prepared(folder, config):
    folder.mkdir()
    result = prepare_dataset(folder, config, source_fingerprint(config))
    from safetensors.torch import load_file

    return result, load_file(folder / FILE)


def test_digits_are_split_evenly_and_always_alike(tmp_path):
    config = DatasetConfig(name="digits")
    result, tensors = prepared(tmp_path / "a", config)
    assert (result["n_train"], result["n_test"], result["n_classes"]) == (1437, 360, 10)
    assert tensors["train_images"].shape == (1437, 28, 28)
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


def coloured_folder(root):
    for label in ("cat", "dog"):
        (root / label).mkdir(parents=True)
        for number in range(10):
            Image.new("RGB", (40, 30), (number * 20, 50, 0)).save(root / label / f"{number}.png")
    return DatasetConfig(name="folder", path=str(root))


def test_a_folder_of_images_of_any_size_and_colour(tmp_path):
    config = coloured_folder(tmp_path / "images")
    result, tensors = prepared(tmp_path / "a", config)
    assert (result["n_train"], result["n_test"], result["n_classes"]) == (16, 4, 2)
    assert tensors["train_images"].shape == (16, 28, 28)
    before = source_fingerprint(config)
    Image.new("RGB", (40, 30), (1, 2, 3)).save(tmp_path / "images" / "cat" / "0.png")
    assert source_fingerprint(config) != before


def test_bad_folders_are_explained(tmp_path):
    with pytest.raises(DatasetError, match="no images in class subfolders"):
        source_fingerprint(DatasetConfig(name="folder", path=str(tmp_path)))
    config = coloured_folder(tmp_path / "images")
    (tmp_path / "images" / "cat" / "0.png").write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"dataset\.path"):
        prepared(tmp_path / "a", config)


def test_load_dataset_reads_an_entry(home):
    folder = home / "store" / "data" / "k"
    folder.parent.mkdir(parents=True)
    result, _ = prepared(folder, DatasetConfig(name="digits", train_limit=20, test_limit=10))
    empty = {"inputs": {}, "code": {}, "files": {}, "provenance": {}}
    entry = Entry(task="data", key="k", name="data", result=result, seconds=0, **empty)
    assert load_dataset(entry).test_images.shape == (10, 28, 28)
