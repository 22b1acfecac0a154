"""Raw dataset files: checked before every use, fetched again when bad, never left half written."""

import base64
import gzip
import os
import shutil
import tempfile
import time
import urllib.error
import urllib.request
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from filelock import FileLock

from tasks.datasets.dataset import DatasetError
from tasks.datasets.raw_files import (
    CLASS_NAMES,
    RawFile,
    dataset_class,
    find_fault,
    raw_files,
    recorded_md5,
)
from tasks.system.addresses import readable, without_credentials
from tasks.system.files import md5_of

TIMEOUT_SECONDS = 20  # without a byte
DOWNLOAD_SECONDS = 1200  # for a whole file
ATTEMPTS = 2
NETWORK_ERRORS = (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError)
CHUNK = 1 << 20
TEMPORARY = ".download-"


class Archive(NamedTuple):
    """A file to download: the path below each mirror, its MD5, and which raw files it holds."""

    name: str
    md5: str
    members: tuple[str, ...]


def archives(name: str) -> tuple[list[str], list[Archive]]:
    """Mirrors and archives as torchvision names them; STUDY_MIRROR is tried first.

    Raises DatasetError if that is no address.
    """
    cls = dataset_class(name)
    if name == "emnist":
        mirrors = [cls.url.rsplit("/", 1)[0] + "/"]
        members = tuple(file.path.name for file in raw_files(name))
        found = [Archive(cls.url.rsplit("/", 1)[1], cls.md5, members)]
    else:
        mirrors = list(cls.mirrors)
        found = [Archive(file, md5, (file.removesuffix(".gz"),)) for file, md5 in cls.resources]
    own = os.environ.get("STUDY_MIRROR")
    if own and not (readable(own) or own.startswith("file:///")):
        raise DatasetError("STUDY_MIRROR is no address like http://host/folder")
    return ([own.rstrip("/") + "/"] if own else []) + mirrors, found


def ensure_raw_files(name: str) -> None:
    """Check every raw file of a dataset and fetch those that are missing or bad.

    Raises DatasetError if a file can be neither used nor fetched.
    """
    files = raw_files(name)
    if not any(find_fault(file) for file in files):
        return
    folder = files[0].path.parent
    bad: dict[str, RawFile] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(".download.lock")):
            for left in folder.glob(f"{TEMPORARY}*"):  # of a process that was killed
                shutil.rmtree(left, ignore_errors=True)
            bad = _bad_files(files)  # another process may just have fetched some
            mirrors, wanted = archives(name)
            for archive in wanted:
                members = [bad[member] for member in archive.members if member in bad]
                if members:
                    _fetch(mirrors, archive, members)
                    for file in members:
                        del bad[file.path.name]
    except OSError as error:
        raise DatasetError(f"cannot write to {folder}: {error}") from None
    except DatasetError as error:
        raise DatasetError(
            f"{name}: {error}; put {', '.join(bad)} into {folder} or set STUDY_DATA to the folder "
            f"that holds {CLASS_NAMES[name]}/raw ('study run digits' needs no download)"
        ) from None


def _bad_files(files: list[RawFile]) -> dict[str, RawFile]:
    """Those that are missing or bad; there is a warning for a bad one."""
    bad = {}
    for file in files:
        problem = find_fault(file)
        if problem:
            bad[file.path.name] = file
            if file.path.exists():
                warnings.warn(f"{file.path} {problem}; fetching it again", stacklevel=3)
    return bad


def _fetch(mirrors: list[str], archive: Archive, files: list[RawFile]) -> None:
    """Download an archive from the first mirror that has it whole, and unpack these files."""
    errors = {}
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=files[0].path.parent) as temporary:
        target = Path(temporary) / archive.name
        for mirror in [mirror for mirror in mirrors for _ in range(ATTEMPTS)]:
            try:
                _download(mirror + archive.name, target, archive.md5)
            except (*NETWORK_ERRORS, DatasetError) as error:
                errors[mirror] = f"{mirror}: {getattr(error, 'reason', error)}"
                continue
            for file in files:
                _unpack(target, file)
            return
    tried = without_credentials("; ".join(errors.values()))
    raise DatasetError(f"cannot download {archive.name} ({tried})")


def _request(url: str) -> urllib.request.Request:
    """A request that sends the user and password of an address to its host and to no other."""
    request = urllib.request.Request(without_credentials(url))
    credentials, at, _ = urlsplit(url).netloc.rpartition("@")
    if at:
        encoded = base64.b64encode(unquote(credentials).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {encoded}")
    return request


def _download(url: str, target: Path, md5: str) -> None:
    """Stream a URL into a file within a bounded time and compare its MD5."""
    deadline = time.monotonic() + DOWNLOAD_SECONDS
    opened = urllib.request.urlopen(_request(url), timeout=TIMEOUT_SECONDS)
    with opened as response, target.open("wb") as out:
        while chunk := response.read1(CHUNK):  # read() would wait for all of a chunk
            out.write(chunk)
            if time.monotonic() > deadline:
                raise DatasetError("the download is too slow")
        if left := getattr(response, "length", None):
            raise DatasetError(f"the download ended {left:,} bytes early")
    if md5_of(target) != md5:
        raise DatasetError("the downloaded file does not match its checksum")


@contextmanager
def _open_member(archive: Path, member: str) -> Iterator[Any]:
    if archive.suffix == ".zip":
        packed_name = f"gzip/{member}.gz"
        with (
            zipfile.ZipFile(archive) as bundle,
            bundle.open(packed_name) as packed,
            gzip.open(packed) as stream,
        ):
            yield stream
    else:
        with gzip.open(archive) as stream:
            yield stream


def _unpack(archive: Path, file: RawFile) -> None:
    """Unpack one member beside the archive, check it, move it into place, record its MD5."""
    temporary = archive.with_name(file.path.name)
    with _open_member(archive, file.path.name) as stream, temporary.open("wb") as out:
        shutil.copyfileobj(stream, out, CHUNK)
    md5 = md5_of(temporary)
    problem = find_fault(file._replace(path=temporary))
    if problem:
        raise DatasetError(f"{file.path.name} from {archive.name} {problem}")
    temporary.replace(file.path)
    if file.md5 is None:
        recorded_md5(file).write_text(md5, encoding="ascii")
