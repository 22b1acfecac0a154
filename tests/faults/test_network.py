"""Mirrors that fail in every way, and no network at all: one clear line, and no half file."""

import gzip
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from tasks.code.modules import ROOT
from tasks.datasets.downloaded.raw_files import find_fault, raw_files
from tests.faults.conftest import SHORT, SHORT_TRAINING, executed, kill_group

KMNIST = [*SHORT, "--set", "dataset.name=kmnist"]
# torchvision's KMNIST with other archives and shorter timeouts.
OTHER_ARCHIVES = """
import json, os
from tasks.datasets.downloaded import downloads
original, found = downloads.torchvision_class, json.loads(os.environ["OTHER_ARCHIVES"])
def torchvision_class(name):
    cls = original(name)
    cls.mirrors, cls.resources = found["mirrors"], found["resources"]
    return cls
downloads.torchvision_class = torchvision_class
downloads.TIMEOUT_SECONDS, downloads.DOWNLOAD_SECONDS = found["seconds"]
"""


@contextmanager
def mirror(archives, behaviour):
    """Serves archives; ``behaviour`` maps their names, or ``""`` for all, to a way of failing."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.removeprefix("/")
            how = behaviour.get(name, behaviour.get("", ""))
            if how.isdigit():
                self.send_error(int(how))
                return
            content = archives[name]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            while how == "slow" and not over.wait(0.2):
                self.wfile.write(b"x")
            if how == "stalls":
                over.wait()
            if not how:
                self.wfile.write(content[len(content) // 2 :])

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_):
            """The other side has hung up."""

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        over.set()
        server.shutdown()


@pytest.fixture(scope="module")
def archives():
    """KMNIST's archives by name, with noise for images."""
    noise = np.random.default_rng(0).integers(0, 256, (32, 28, 28), dtype=np.uint8)
    found = {}
    for file in raw_files("kmnist"):
        content = np.resize(noise if len(file.shape) == 3 else np.arange(10), file.shape)
        header = bytes([0, 0, 8, len(file.shape)]) + np.array(file.shape, ">u4").tobytes()
        raw = header + content.astype(np.uint8).tobytes()
        found[f"{file.path.name}.gz"] = gzip.compress(raw, 1)
    return found


@pytest.fixture
def raw(study, archives, tmp_path, monkeypatch):
    """The folder for KMNIST's files; the study knows these archives."""
    (tmp_path / "sitecustomize.py").write_text(OTHER_ARCHIVES)
    study.variables["PYTHONPATH"] = f"{tmp_path}:{ROOT}"
    study.variables["STUDY_DATA"] = str(tmp_path / "data")
    monkeypatch.setenv("STUDY_DATA", str(tmp_path / "data"))
    return tmp_path / "data" / "KMNIST" / "raw"


def knowing(archives, *mirrors, seconds=(2, 4)):
    """The variable that tells a study its mirrors and its patience."""
    resources = [(name, hashlib.md5(content).hexdigest()) for name, content in archives.items()]
    found = {"mirrors": mirrors, "resources": resources, "seconds": seconds}
    return {"OTHER_ARCHIVES": json.dumps(found)}


def test_the_next_mirror_has_what_one_fails_to_give(study, raw, archives):
    images, labels, test_images, test_labels = archives
    with mirror(archives, {labels: "stalls"}) as first:
        process = study.start(
            *KMNIST, STUDY_MIRROR=first, **knowing(archives, first, seconds=(90, 90))
        )
        while not (list(raw.glob(".download-*/*labels*")) and (raw / images[:-3]).exists()):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        kill_group(process)
    (raw / images[:-3]).unlink()
    wrong = {images: "slow", labels: "503", test_images: "stalls", test_labels: "half"}
    with mirror(archives, wrong) as first, mirror(archives, {}) as second:
        done = study.run(*KMNIST, STUDY_MIRROR=first, **knowing(archives, second))
    assert SHORT_TRAINING in executed(done)
    assert [find_fault(file) for file in raw_files("kmnist")] == [None] * 4
    assert not list(raw.glob(".download-*"))


def test_without_a_good_mirror_one_line_says_what_each_answered(study, raw, archives):
    reasons = {
        "403": "Forbidden",
        "503": "Service Unavailable",
        "half": "bytes early",
        "stalls": "timed out",
        "slow": "the download is too slow",
    }
    with ExitStack() as stack:
        mirrors = [stack.enter_context(mirror(archives, {"": how})) for how in reasons]
        started = time.monotonic()
        known = knowing(archives, *mirrors[1:])
        refused = study.run(*KMNIST, code=1, STUDY_MIRROR=mirrors[0], **known)
        assert time.monotonic() - started < 90
    (line,) = refused.stderr_text.splitlines()
    for address, reason in zip(mirrors, reasons.values(), strict=True):
        assert address in line
        assert reason in line.partition(address)[2].partition("http")[0]
    assert f"into {raw}" in line
    assert list(raw.iterdir()) == []


WITHOUT_NETWORK = ["unshare", "-rn"]
UP = "import fcntl, os, socket, struct, sys; "
UP += "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sH14x', b'lo', 0x49)); "
UP += "os.execvp(sys.argv[1], sys.argv[1:])"
LOOPBACK_ALONE = [*WITHOUT_NETWORK, sys.executable, "-c", UP]


@pytest.fixture
def cut_off(alone):
    """The command on a machine with no network but the loopback."""
    tried = subprocess.run([*LOOPBACK_ALONE, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"unshare: {tried.stderr.strip()}")
    alone.prefix = LOOPBACK_ALONE
    return alone


def test_without_network_what_is_there_works_and_the_rest_says_what_to_do(cut_off, tmp_path):
    assert "report[smoke]" in executed(cut_off.run("run", "smoke"))
    data = {"STUDY_DATA": str(tmp_path / "data")}
    started = time.monotonic()
    refused = cut_off.run(*KMNIST, code=1, **data)
    assert time.monotonic() - started < 60
    (line,) = refused.stderr_text.splitlines()
    assert f"into {tmp_path}/data/KMNIST/raw or set STUDY_DATA" in line
    assert "'study run digits' needs no download" in line
    real = Path(os.environ.get("STUDY_DATA", "data")) / "MNIST"
    if real.is_dir():
        (tmp_path / "data" / "MNIST").symlink_to(real.absolute())
        done = cut_off.run(*SHORT, "--set", "dataset.name=mnist", **data)
        assert SHORT_TRAINING in executed(done)


def test_without_even_the_loopback_one_line_says_so_at_once(cut_off):
    cut_off.prefix = WITHOUT_NETWORK
    started = time.monotonic()
    refused = cut_off.run(*SHORT, code=2)
    assert time.monotonic() - started < 20
    (line,) = refused.stderr_text.splitlines()
    assert "ip link set lo up" in line
