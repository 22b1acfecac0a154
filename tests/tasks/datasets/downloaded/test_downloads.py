"""Downloads against a real HTTP server on this machine, with small files in MNIST's format."""

import base64
import gzip
import hashlib
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from tasks.datasets.config import DatasetConfig
from tasks.datasets.contents import check_unchanged, source_fingerprint
from tasks.datasets.dataset import DatasetError
from tasks.datasets.downloaded import downloads
from tasks.datasets.downloaded import raw_files as raw_files_module
from tasks.datasets.downloaded.downloads import ensure_raw_files
from tasks.datasets.downloaded.raw_files import find_fault, raw_files

COUNTS = (20, 10)


def idx(shape):
    size = 1
    for length in shape:
        size *= length
    body = bytes(index % 251 for index in range(size))
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + body


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serves a tiny KMNIST; ``server.behaviour`` maps file names to a way of failing."""
    monkeypatch.setenv("STUDY_DATA", str(tmp_path / "data"))
    monkeypatch.setitem(raw_files_module.IMAGE_COUNTS, "kmnist", COUNTS)
    monkeypatch.setattr(downloads, "TIMEOUT_SECONDS", 1)
    packed = {
        f"{file.path.name}.gz": gzip.compress(idx(file.shape)) for file in raw_files("kmnist")
    }
    behaviour: dict[str, str] = {}
    asked: list[str] = []
    authorized: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.removeprefix("/")
            asked.append(name)
            authorized.append(self.headers["Authorization"])
            content = packed[name.removeprefix("?")]
            how = behaviour.get(name, "")
            if how.isdigit():
                self.send_error(int(how))
                return
            if how.startswith("http"):
                self.send_response(302)
                self.send_header("Location", how + name)
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if how == "corrupt":
                content = content[:-1] + b"?"
            if how == "half":
                content = content[: len(content) // 2]
            self.wfile.write(content)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        resources = [(name, hashlib.md5(data).hexdigest()) for name, data in packed.items()]
        address = f"http://127.0.0.1:{httpd.server_port}/"
        fake = SimpleNamespace(mirrors=[address], resources=resources)
        monkeypatch.setattr(downloads, "torchvision_class", lambda name: fake)
        yield SimpleNamespace(
            behaviour=behaviour,
            asked=asked,
            authorized=authorized,
            packed=packed,
            fake=fake,
            address=address,
        )
        httpd.shutdown()
        thread.join()


def names(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".md5"))


def test_missing_files_are_downloaded_once(server):
    ensure_raw_files("kmnist")
    assert all(find_fault(file) is None for file in raw_files("kmnist"))
    assert len(server.asked) == 4
    ensure_raw_files("kmnist")
    assert len(server.asked) == 4


def test_a_download_does_not_change_the_fingerprint(server):
    config = DatasetConfig(name="kmnist")
    assert source_fingerprint(config) == "kmnist"
    ensure_raw_files("kmnist")
    assert source_fingerprint(config) == "kmnist"
    check_unchanged(config, "kmnist")


DAMAGE = {
    "zero bytes": lambda content: b"",
    "truncated": lambda content: content[:-7],
    "trailing bytes": lambda content: content + b"x",
    "flipped byte": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "huge dimensions": lambda content: content[:4] + b"\x7f" + content[5:],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_named_and_downloaded_again(server, damage):
    ensure_raw_files("kmnist")
    file = raw_files("kmnist")[0]
    good = file.path.read_bytes()
    file.path.write_bytes(damage(good))
    with pytest.warns(UserWarning, match="train-images-idx3-ubyte .*downloaded again"):
        ensure_raw_files("kmnist")
    assert file.path.read_bytes() == good
    assert len(server.asked) == 5


@pytest.mark.parametrize("how", ["403", "503", "half", "corrupt"])
def test_a_failed_download_leaves_nothing_and_says_what_to_do(server, how):
    server.behaviour["train-labels-idx1-ubyte.gz"] = how
    with pytest.raises(DatasetError) as caught:
        ensure_raw_files("kmnist")
    message = str(caught.value)
    assert "\n" not in message
    for word in ("train-labels-idx1-ubyte", "KMNIST/raw", "STUDY_DATA", "study run digits"):
        assert word in message
    assert names(raw_files("kmnist")[0].path.parent) == ["train-images-idx3-ubyte"]


def test_the_next_mirror_is_tried(server, monkeypatch):
    server.fake.mirrors = ["http://127.0.0.1:9/", server.address]
    ensure_raw_files("kmnist")
    assert all(find_fault(file) is None for file in raw_files("kmnist"))


def test_a_password_goes_to_its_mirror_and_not_after_a_redirect(server, monkeypatch):
    monkeypatch.setenv("STUDY_MIRROR", server.address.replace("//", "//me:p%40ss@"))
    ensure_raw_files("kmnist")
    sent = "Basic " + base64.b64encode(b"me:p@ss").decode()
    assert server.authorized == [sent] * 4
    file = raw_files("kmnist")[0].path
    file.unlink()
    server.behaviour[f"{file.name}.gz"] = f"{server.address}?"
    ensure_raw_files("kmnist")
    assert server.authorized[4:] == [sent, None]


def test_a_mirror_may_be_a_folder(server, tmp_path, monkeypatch):
    ensure_raw_files("kmnist")
    for file in raw_files("kmnist"):
        (tmp_path / f"{file.path.name}.gz").write_bytes(server.packed[f"{file.path.name}.gz"])
        file.path.unlink()
    monkeypatch.setenv("STUDY_MIRROR", tmp_path.as_uri())
    ensure_raw_files("kmnist")
    assert len(server.asked) == 4


def test_mnist_files_are_compared_with_the_published_checksums(tmp_path, monkeypatch):
    monkeypatch.setenv("STUDY_DATA", str(tmp_path))
    file = raw_files("mnist")[1]
    file.path.parent.mkdir(parents=True)
    file.path.write_bytes(idx(file.shape))
    assert find_fault(file) == "does not match its checksum"
    file.path.write_bytes(b"")
    assert find_fault(file) == "has 0 bytes instead of 60,008"
