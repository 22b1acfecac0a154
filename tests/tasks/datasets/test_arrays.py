"""A user's own NumPy arrays, from files to a prepared dataset; bad content is one line."""

import io
import pickle
import zipfile

import numpy as np
import pytest
import torch

from tasks.datasets.array_files import stored_arrays
from tasks.datasets.config import DatasetConfig
from tasks.datasets.contents import source_fingerprint, take_inventory
from tasks.datasets.dataset import DatasetError
from tasks.datasets.own_images import read_parts
from tests.special_files import replace_file
from tests.tasks.conftest import prepared
from tests.tasks.datasets.own_files import flat


def of_arrays(path, **options):
    return DatasetConfig(name="npz", path=str(path), **options)


def saved(path, **arrays):
    np.savez_compressed(path, **arrays)
    return of_arrays(path)


def first_pixels(images):
    return images[:, 0, 0, 0].tolist()


def refused(config, *words):
    """Assert that the dataset is refused before an image is read, in one line with these words."""
    with pytest.raises(DatasetError) as caught:
        take_inventory(config)
    message = str(caught.value)
    assert "\n" not in message
    for word in (*words, "dataset."):
        assert word in message


@pytest.mark.parametrize("names", ["x_{} y_{}", "{}_images {}_labels", "{}_X {}_targets"])
def test_arrays_in_two_parts(tmp_path, names):
    images, labels = names.split()
    content = {}
    for part, first, n in (("train", 0, 20), ("test", 50, 10)):
        content[images.format(part)] = flat(first, n, (12, 9, 3)).astype(np.uint8)
        content[labels.format(part)] = np.arange(n) % 2
    config = saved(tmp_path / "a.npz", **content)
    inventory = take_inventory(config)
    assert (inventory.n_train, inventory.n_test) == (20, 10)
    assert (inventory.image_shape, inventory.classes) == ((3, 12, 9), ["0", "1"])
    result, tensors = prepared(tmp_path / "prepared", config)
    assert result["image_shape"] == [3, 12, 9]
    assert tensors["train_images"].shape == (20, 3, 12, 9)
    found = zip(
        first_pixels(tensors["train_images"]), tensors["train_labels"].tolist(), strict=True
    )
    assert sorted(found) == [(level, level % 2) for level in range(20)]
    assert sorted(first_pixels(tensors["test_images"])) == [*range(50, 60)]


def test_one_array_is_split_with_labels_that_are_texts(tmp_path):
    labels = np.array(["dog", "cat"])[np.arange(20) % 2]
    config = saved(tmp_path / "a.npz", images=flat(0, 20, (8, 8)), labels=labels)
    assert take_inventory(config).classes == ["cat", "dog"]
    result, tensors = prepared(tmp_path / "prepared", config)
    assert (result["n_train"], result["n_test"], result["image_shape"]) == (16, 4, [1, 8, 8])
    for part in ("train", "test"):
        pairs = zip(tensors[f"{part}_images"], tensors[f"{part}_labels"].tolist(), strict=True)
        assert all(result["classes"][label] == labels[image[0, 0, 0]] for image, label in pairs)


def test_a_folder_of_npy_files_and_a_single_one(tmp_path):
    np.save(tmp_path / "x_train.npy", flat(0, 12, (3, 8, 6)).astype(np.uint8))
    np.save(tmp_path / "x_test.npy", flat(0, 11, (3, 8, 6)).astype(np.uint8))
    config = of_arrays(tmp_path)
    assert take_inventory(config).image_shape == (3, 8, 6)
    assert {name: len(part[0]) for name, part in read_parts(config)[0].items()} == {
        "train": 12,
        "test": 11,
    }
    np.save(tmp_path / "images.npy", flat(0, 15, (8, 6)))
    alone = take_inventory(of_arrays(tmp_path / "images.npy"))
    assert (alone.n_train, alone.n_test, alone.image_shape) == (12, 3, (1, 8, 6))


def test_validation_is_the_test_set_if_there_is_no_other(tmp_path):
    content = {"train_images": flat(0, 12, (8, 8)), "val_images": flat(0, 11, (8, 8))}
    assert take_inventory(saved(tmp_path / "a.npz", **content)).n_test == 11
    config = saved(tmp_path / "a.npz", **content, test_images=flat(0, 10, (8, 8)), scale=[1])
    inventory = take_inventory(config)
    assert inventory.n_test == 10
    assert inventory.notes[1:] == ["2 arrays not used: val_images, scale"]


@pytest.mark.parametrize("shape", [(10, 12, 3), (3, 10, 12)])
def test_channels_may_be_first_or_last(tmp_path, shape):
    images = np.zeros((10, *shape), np.uint8)
    axis = shape.index(3) + 1
    images[(slice(None),) * axis + (0,)] = 200
    (found, _) = read_parts(saved(tmp_path / "a.npz", x=images))[0]["all"]
    assert found.shape == (10, 3, 10, 12)
    assert found[0, :, 5, 5].tolist() == [200, 0, 0]


def test_images_may_get_another_size_and_other_channels(tmp_path):
    config = saved(tmp_path / "a.npz", x=flat(0, 10, (8, 8)).astype(np.uint8))
    options = {"size": [6, 20], "channels": 3, "invert": True, "shape": "crop"}
    (found, _) = read_parts(of_arrays(config.path, **options))[0]["all"]
    assert found.shape == (10, 3, 6, 20)
    assert found[:, 1, 3, 3].tolist() == [*range(255, 245, -1)]


LEVELS = [
    (np.uint8, 255, None, 1),
    (np.bool_, 1, None, 1),
    (np.float32, 1, None, 1),
    (np.float64, 255, None, 1),
    (np.float16, 1, None, 1),
    (np.uint16, 4095, None, 1),
    (np.int64, 65_535, None, 1),
    (">i4", 1023, None, 1),
    (np.uint16, 2000, (0, 4000), 0.5),
]


@pytest.mark.parametrize(("dtype", "white", "levels", "share"), LEVELS)
def test_levels_of_every_type_become_black_to_white(tmp_path, dtype, white, levels, share):
    images = np.zeros((10, 8, 8), dtype)
    images[:, 4:] = white
    config = saved(tmp_path / "a.npz", x=images)
    if levels:
        config = of_arrays(config.path, levels=levels)
    parts, reading = read_parts(config)
    found = parts["all"][0][0, 0]
    assert (found[0].tolist(), found[7].tolist()) == ([0] * 8, [round(255 * share)] * 8)
    assert reading.levels.high == (levels[1] if levels else white)


def test_many_images_are_converted_part_by_part(tmp_path):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 4096, (100, 256, 256), np.uint16)  # more than one part
    images[0, 0, 0] = 4095
    (found, _) = read_parts(saved(tmp_path / "a.npz", x=images))[0]["all"]
    expected = torch.from_numpy(images.astype(np.int64)) * (255 / 4095)
    assert (found[:, 0] - expected).abs().max() <= 0.5 + 1e-9


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, ["holds no arrays"]),
        ({"a": flat(0), "b": flat(0)}, ["no images", "a, b", "x_train"]),
        ({"x_test": flat(0, 20, (8, 8))}, ["no images to train on", "x_test"]),
        ({"y_train": [1] * 10}, ["no images", "y_train"]),
        ({"x": flat(0, 20, (8, 8)), "y_train": [1] * 20}, ["'y_train'", "without images"]),
        ({"x": flat(0, 20, (8, 8)), "x_train": flat(0)}, ["images of parts and others", "'x'"]),
        ({"x_train": flat(0), "train_images": flat(0)}, ["mean the same part"]),
        ({"x": flat(0, 20, (8, 8)), "y": [1] * 19}, ["'y'", "(19,) for 20 images"]),
        ({"x": flat(0, 20, (8, 8)), "y": np.eye(20)}, ["'y'", "(20, 20) for 20 images"]),
        ({"x": flat(0, 20, (8, 8)), "y": [0.5] * 20}, ["'y'", "whole numbers or texts"]),
        ({"x": flat(0, 20, (8, 8)), "y": [np.nan] * 20}, ["'y'", "whole numbers or texts"]),
        ({"x": flat(0, 20, (8, 8)), "y": [1j] * 20}, ["'y'", "whole numbers or texts"]),
        ({"x": flat(0, 20, (8, 8)), "y": ["", "a"] * 10}, ["'y'", "empty labels"]),
        ({"x": flat(0, 9, (8, 8))}, ["9 images", "too few"]),
        ({"x": flat(0, 20, (64,))}, ["'x'", "(20, 64)", "(n, h, w, c)"]),
        ({"x": flat(0, 20, (8, 8, 4))}, ["'x'", "(20, 8, 8, 4)", "1 or 3 channels"]),
        ({"x": flat(0, 20, (2, 8, 8))}, ["'x'", "(20, 2, 8, 8)", "1 or 3 channels"]),
        ({"x": flat(0, 20, (3, 8, 3))}, ["'x'", "(20, 3, 8, 3)", "first or last"]),
        ({"x": flat(0, 20, (1, 8, 1))}, ["'x'", "first or last", "(n, h, w)"]),
        ({"x": flat(0, 20, (3, 8))}, ["'x'", "3 x 8 pixels", "dataset.size"]),
        ({"x": flat(0, 20, (300, 8))}, ["'x'", "300 x 8 pixels", "dataset.size"]),
        ({"x": np.zeros((20, 0, 8))}, ["'x'", "0 x 8 pixels"]),
        ({"x": np.zeros((20, 8, 8), complex)}, ["'x'", "complex128"]),
        ({"x": np.full((20, 8, 8), "a")}, ["'x'", "<U1"]),
        ({"x": np.zeros((20, 8, 8), "M8[s]")}, ["'x'", "datetime64"]),
        ({"x": np.zeros((20, 8, 8), [("a", "u1")])}, ["'x'", "several fields"]),
        (
            {"x_train": flat(0, 20, (8, 8)), "x_test": flat(0, 20, (9, 8))},
            ["'x_train'", "8 x 8", "9 x 8", "dataset.size"],
        ),
        (
            {"x_train": flat(0, 20, (8, 8)), "x_test": flat(0, 20, (8, 8, 3))},
            ["1 channel", "3 channels", "dataset.channels"],
        ),
    ],
)
def test_arrays_that_cannot_be_used_are_refused_before_they_are_read(tmp_path, content, words):
    refused(saved(tmp_path / "a.npz", **content), "a.npz", *words)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_levels_that_are_no_numbers_are_refused(tmp_path, value):
    images = np.zeros((20, 8, 8))
    images[-1, 3, 3] = value
    config = saved(tmp_path / "a.npz", x=images)
    with pytest.raises(DatasetError, match=r"'x' in .*a\.npz holds values that are NaN or inf"):
        read_parts(config)


def test_whole_numbers_and_floats_have_no_common_levels(tmp_path):
    content = {"x_train": np.zeros((20, 8, 8), int), "x_test": np.zeros((20, 8, 8))}
    with pytest.raises(DatasetError, match=r"dataset\.levels: some arrays hold whole numbers"):
        read_parts(saved(tmp_path / "a.npz", **content))
    read_parts(of_arrays(tmp_path / "a.npz", levels=(0, 1)))


class Harm:
    """Pickled, it would run code."""

    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


def test_python_objects_are_never_unpickled(tmp_path):
    objects = np.empty(20, object)
    objects[:] = [Harm()] * 20
    for name in ("x", "y"):
        content = {"x": flat(0, 20, (8, 8)), name: objects}
        refused(saved(tmp_path / "a.npz", **content), repr(name), "Python objects")
    np.save(tmp_path / "x.npy", objects)
    refused(of_arrays(tmp_path / "x.npy"), "'x'", "Python objects")
    (tmp_path / "x.npy").write_bytes(pickle.dumps(Harm()))
    refused(of_arrays(tmp_path), "'x'", "cannot read")
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Harm()))
    refused(of_arrays(tmp_path / "b.npz"), "b.npz", "cannot read")


def npy(shape="(20, 8, 8)", size=20 * 64, descr="|u1", version=b"\x01\x00"):
    """A .npy file whose header says what it wants."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + bytes(size)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no array",
        npy()[:-1],
        npy() + b"x",
        npy(shape="(2000000000, 8000, 8000)"),
        npy(shape="(-20, 8, 8)"),
        npy(shape="(20.0, 8, 8)"),
        npy(shape="__import__('os').system('false')"),
        npy(shape="(" * 300),
        npy(descr="|O", size=8 * 20 * 64),
        npy(descr="|x9"),
        npy(version=b"\x03\x00"),
        npy(version=b"\x09\x00"),
    ],
)
def test_files_that_are_damaged_or_lie_are_refused(tmp_path, content):
    (tmp_path / "x.npy").write_bytes(content)
    refused(of_arrays(tmp_path), "'x'", "x.npy", "cannot read")
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", content)
    refused(of_arrays(tmp_path / "a.npz"), "'x'", "a.npz", "cannot read")


def test_a_damaged_archive_is_refused(tmp_path):
    config = saved(tmp_path / "a.npz", x=np.random.default_rng(0).random((20, 8, 8)))
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[:-20])
    refused(config, "a.npz", "cannot read")
    middle = len(whole) // 2
    (tmp_path / "a.npz").write_bytes(whole[:middle] + b"????" + whole[middle + 4 :])
    with pytest.raises(DatasetError, match=r"cannot read array 'x' in .*a\.npz"):
        read_parts(config)


def test_a_small_archive_of_many_zeros_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("tasks.datasets.array_files.MOST_BYTES", 10_000_000)
    config = saved(tmp_path / "a.npz", x=np.zeros((200, 250, 250), np.uint8))
    assert (tmp_path / "a.npz").stat().st_size < 100_000
    refused(config, "'x'", "12,500,000 bytes", "10,000,000")


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_other_kinds_of_files_are_refused_at_once(tmp_path, kind):
    config = saved(tmp_path / "a.npz", x=flat(0))
    replace_file(tmp_path / "a.npz", kind, tmp_path / "b.npz")
    refused(config, "a.npz")


def test_a_path_that_holds_no_arrays_says_what_to_name(tmp_path):
    refused(of_arrays(tmp_path / "none.npz"), "none.npz does not exist")
    refused(of_arrays(tmp_path), "has no .npy files; name a .npz file")
    (tmp_path / "a.txt").write_text("text")
    refused(of_arrays(tmp_path / "a.txt"), "a.txt is no .npz or .npy file")
    saved(tmp_path / "a.npz", x=flat(0))
    refused(of_arrays(tmp_path), "name one of its files: a.npz")


def test_an_archive_of_other_files_has_no_arrays(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("photo.png", b"png")
    refused(of_arrays(tmp_path / "a.npz"), "holds no arrays")
    buffer = io.BytesIO()
    np.save(buffer, flat(0))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("../../x\n.npy", buffer.getvalue())
    assert [*stored_arrays(tmp_path / "a.npz")] == ["../../x\n"]
    assert take_inventory(of_arrays(tmp_path / "a.npz")).image_shape == (1, 5, 7)
    assert len(read_parts(of_arrays(tmp_path / "a.npz"))[0]["all"][0]) == 10
    assert not (tmp_path.parent.parent / "x\n.npy").exists()


def test_the_fingerprint_follows_the_content(tmp_path):
    config = saved(tmp_path / "a.npz", x=flat(0))
    found = [source_fingerprint(config)]
    saved(tmp_path / "a.npz", x=flat(1))
    found.append(source_fingerprint(config))
    np.save(tmp_path / "x.npy", flat(1))
    found.append(source_fingerprint(of_arrays(tmp_path)))
    assert len(set(found)) == 3
