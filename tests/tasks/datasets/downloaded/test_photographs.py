"""CIFAR and SVHN in small, in their own formats, from a server on this machine to a dataset."""

import hashlib
import io
import pickle
import tarfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import scipy.io
import torch
import torchvision.datasets

from tasks.datasets.config import DatasetConfig
from tasks.datasets.contents import check_unchanged, source_fingerprint, take_inventory
from tasks.datasets.dataset import DatasetError
from tasks.datasets.downloaded.downloads import ensure_raw_files
from tasks.datasets.downloaded.raw_files import IMAGE_COUNTS, PHOTOGRAPHS, find_fault, raw_files
from tasks.datasets.readers import read_dataset
from tests.tasks.conftest import prepared

UNPICKLED = []
NAMES = ["cifar10", "cifar100", "svhn"]


class Harm:
    """Notes that it was unpickled."""

    def __reduce__(self):
        return (UNPICKLED.append, (1,))


def md5(content):
    return hashlib.md5(content).hexdigest()


def pixels(n):
    """Images (n, 3, 32, 32) of one level each, with 100 more in the second channel."""
    levels = np.arange(n, dtype=np.uint8).reshape(n, 1, 1, 1)
    images = np.broadcast_to(levels, (n, 3, 32, 32)).copy()
    images[:, 1] += 100
    return images


def batch(n, key):
    return pickle.dumps({"data": pixels(n).reshape(n, -1), key: [i % 10 for i in range(n)]})


def cifar(cls, folder, served):
    """A class like torchvision's for small files, which are packed and served."""
    is_100 = cls.base_folder == "cifar-100-python"
    key = "fine_labels" if is_100 else "labels"
    contents = {name: batch(12, key) for name, _ in cls.train_list}
    contents |= {name: batch(10, key) for name, _ in cls.test_list}
    contents[cls.meta["filename"]] = pickle.dumps({cls.meta["key"]: ["a"]})
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(f"{cls.base_folder}/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    (served / cls.filename).write_bytes(buffer.getvalue())
    listed = {
        name: [[file, md5(contents[file])] for file, _ in getattr(cls, name)]
        for name in ("train_list", "test_list")
    }
    meta = cls.meta | {"md5": md5(contents[cls.meta["filename"]])}
    return type(cls.__name__, (cls,), {"tgz_md5": md5(buffer.getvalue()), "meta": meta, **listed})


def svhn(cls, folder, served):
    found = {}
    for part, n in (("train", 12), ("test", 10)):
        labels = np.array([(i - 1) % 10 + 1 for i in range(n)], np.uint8)[:, None]  # 10 for 0
        buffer = io.BytesIO()
        scipy.io.savemat(buffer, {"X": pixels(n).transpose(2, 3, 1, 0), "y": labels})
        _, file, _ = cls.split_list[part]
        (served / file).write_bytes(buffer.getvalue())
        found[part] = [file, md5(buffer.getvalue())]
    return found


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serves small files of each dataset; returns the folder that it serves."""
    monkeypatch.setenv("STUDY_DATA", str(tmp_path / "data"))
    served = tmp_path / "served"
    served.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=served)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{httpd.server_port}"
        for cls in (torchvision.datasets.CIFAR10, torchvision.datasets.CIFAR100):
            fake = cifar(cls, tmp_path, served)
            fake.url = f"{address}/{cls.filename}"
            monkeypatch.setattr(torchvision.datasets, cls.__name__, fake)
        files = svhn(torchvision.datasets.SVHN, tmp_path, served)
        listed = {part: [f"{address}/{file}", file, code] for part, (file, code) in files.items()}
        fake = type("SVHN", (torchvision.datasets.SVHN,), {"split_list": listed})
        monkeypatch.setattr(torchvision.datasets, "SVHN", fake)
        yield served
        httpd.shutdown()
        thread.join()


@pytest.mark.parametrize("name", NAMES)
def test_photographs_are_downloaded_checked_and_read(server, tmp_path, name):
    config = DatasetConfig(name=name)
    assert source_fingerprint(config) == name
    result, tensors = prepared(tmp_path / "prepared", config)
    assert result["image_shape"] == [3, 32, 32] == list(take_inventory(config).image_shape)
    assert result["n_classes"] == (100 if name == "cifar100" else 10)
    n_train = 60 if name == "cifar10" else 12  # in five files
    assert tensors["train_images"].shape == (n_train, 3, 32, 32)
    assert tensors["test_images"][7, :, 3, 4].tolist() == [7, 107, 7]
    assert tensors["test_labels"].tolist() == [*range(10)]
    assert tensors["train_labels"][:12].tolist() == [*range(10), 0, 1]
    assert tensors["train_images"].dtype == torch.uint8
    assert source_fingerprint(config) == name
    for file in server.iterdir():
        file.unlink()
    ensure_raw_files(name)  # without another download
    check_unchanged(config, name)


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_is_never_read_and_downloaded_again(server, name):
    ensure_raw_files(name)
    UNPICKLED.clear()
    for file in raw_files(name):
        good = file.path.read_bytes()
        file.path.write_bytes(pickle.dumps(Harm()))
        assert find_fault(file) == "does not match its checksum"
        with pytest.warns(UserWarning, match=f"{file.path.name} does not match.*downloaded again"):
            read_dataset(DatasetConfig(name=name))
        assert file.path.read_bytes() == good
        file.path.unlink()
        read_dataset(DatasetConfig(name=name))
    assert not UNPICKLED


@pytest.mark.parametrize("name", NAMES)
def test_what_the_server_sends_instead_is_never_read(server, name):
    UNPICKLED.clear()
    for file in server.iterdir():
        file.write_bytes(pickle.dumps(Harm()))
    with pytest.raises(DatasetError) as caught:
        read_dataset(DatasetConfig(name=name))
    message = str(caught.value)
    assert "\n" not in message
    folder = raw_files(name)[0].path.parent
    for word in (f"{name}: cannot download", "checksum", folder.name, "STUDY_DATA"):
        assert word in message
    assert not UNPICKLED
    assert not [file for file in folder.iterdir() if not file.name.startswith(".download")]


def test_torchvision_itself_refuses_a_file_that_changes_after_the_check(server, monkeypatch):
    ensure_raw_files("cifar10")
    UNPICKLED.clear()
    monkeypatch.setattr("tasks.datasets.readers.ensure_raw_files", lambda name: None)
    raw_files("cifar10")[2].path.write_bytes(pickle.dumps(Harm()))
    with pytest.raises(RuntimeError, match="corrupted"):
        read_dataset(DatasetConfig(name="cifar10"))
    assert not UNPICKLED


def test_a_mirror_may_be_a_folder(server, tmp_path, monkeypatch):
    for cls in ("CIFAR10", "CIFAR100"):
        monkeypatch.setattr(
            getattr(torchvision.datasets, cls), "url", "http://127.0.0.1:9/x.tar.gz"
        )
    server.rename(tmp_path / "mirror")
    monkeypatch.setenv("STUDY_MIRROR", (tmp_path / "mirror").as_uri())
    with pytest.raises(DatasetError, match=r"cannot download x\.tar\.gz"):
        ensure_raw_files("cifar10")
    (tmp_path / "mirror" / "cifar-10-python.tar.gz").rename(tmp_path / "mirror" / "x.tar.gz")
    ensure_raw_files("cifar10")


def test_every_published_file_has_a_checksum():
    for name in PHOTOGRAPHS:
        files = raw_files(name)
        assert all(file.md5 and file.shape is None for file in files)
        assert len(files) == {"cifar10": 7, "cifar100": 3, "svhn": 2}[name]
        inventory = take_inventory(DatasetConfig(name=name))
        assert (inventory.n_train, inventory.n_test) == IMAGE_COUNTS[name]
        assert len(set(inventory.classes)) == (100 if name == "cifar100" else 10)
