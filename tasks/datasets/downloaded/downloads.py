"""Downloads raw dataset files: checks each before use and replaces missing or damaged ones."""

import base64
import gzip
import os
import shutil
import tarfile
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
from typing import IO, NamedTuple
from urllib.parse import unquote, urlsplit

from filelock import FileLock

from tasks.datasets.dataset import DatasetError
from tasks.datasets.downloaded.raw_files import (
    SVHN_PARTS,
    RawFile,
    find_fault,
    md5_record,
    raw_files,
    torchvision_class,
)
from tasks.system.addresses import is_valid_address, without_credentials
from tasks.system.files import md5_of
from tasks.system.folders import study_data

TIMEOUT_SECONDS = 20  # without receiving a byte
DOWNLOAD_SECONDS = 1200  # for a whole file
ATTEMPTS = 2  # at each mirror
NETWORK_ERRORS = (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError)
CHUNK = 1 << 20  # bytes
TEMPORARY_PREFIX = ".download-"


class Archive(NamedTuple):
    """A file to download: its path below each mirror, its MD5, the names of its raw files."""

    name: str
    md5: str
    members: tuple[str, ...]


def archives(name: str) -> tuple[list[str], list[Archive]]:
    """The mirrors and archives that torchvision lists for a dataset. STUDY_MIRROR comes first.

    Raises DatasetError if STUDY_MIRROR is not an address.
    """
    mirrors, found = _listed(name)
    own = os.environ.get("STUDY_MIRROR")
    if own and not (is_valid_address(own) or own.startswith("file:///")):
        raise DatasetError(  # without its value, which may contain a password
            "STUDY_MIRROR is not an address like http://host/folder or file:///folder; write '/', "
            "'?', '#' and '@' in a password as %2F, %3F, %23 and %40"
        )
    return ([own.rstrip("/") + "/"] if own else []) + mirrors, found


def _listed(name: str) -> tuple[list[str], list[Archive]]:
    cls = torchvision_class(name)
    if name == "svhn":  # whose files are not packed
        listed = [cls.split_list[part] for part in SVHN_PARTS]
        mirror = listed[0][0].rpartition("/")[0]
        return [f"{mirror}/"], [Archive(file, md5, (file,)) for _, file, md5 in listed]
    if name in {"emnist", "cifar10", "cifar100"}:
        mirror, _, file = cls.url.rpartition("/")
        members = tuple(one.path.name for one in raw_files(name))
        md5 = cls.md5 if name == "emnist" else cls.tgz_md5
        return [f"{mirror}/"], [Archive(file, md5, members)]
    packed = [Archive(file, md5, (file.removesuffix(".gz"),)) for file, md5 in cls.resources]
    return list(cls.mirrors), packed


def ensure_raw_files(name: str) -> None:
    """Check every raw file of a dataset and download those that are missing or damaged.

    Raises DatasetError if a file can be neither used nor downloaded.
    """
    files = raw_files(name)
    if not any(find_fault(file) for file in files):
        return
    folder = files[0].path.parent
    bad: dict[str, RawFile] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(".download.lock")):
            for left in folder.glob(f"{TEMPORARY_PREFIX}*"):  # by a process that was killed
                shutil.rmtree(left, ignore_errors=True)
            bad = _bad_files(files)  # again: another process may have downloaded some meanwhile
            mirrors, wanted = archives(name)
            for archive in wanted:
                members = [bad[member] for member in archive.members if member in bad]
                if members:
                    _fetch_archive(mirrors, archive, members)
                    for file in members:
                        del bad[file.path.name]
    except OSError as error:
        raise DatasetError(
            f"{name}: cannot write to {folder}: {error}; set STUDY_DATA to another folder"
        ) from None
    except DatasetError as error:
        raise DatasetError(
            f"{name}: {error}; put {', '.join(bad)} into {folder} or set STUDY_DATA to the folder "
            f"that contains {folder.relative_to(study_data())} ('study run digits' needs no "
            "download)"
        ) from None


def _bad_files(files: list[RawFile]) -> dict[str, RawFile]:
    """The files that are missing or damaged, by name. Warns of each damaged one."""
    bad = {}
    for file in files:
        problem = find_fault(file)
        if problem:
            bad[file.path.name] = file
            if file.path.exists():
                warnings.warn(f"{file.path} {problem}; it is downloaded again", stacklevel=3)
    return bad


def _fetch_archive(mirrors: list[str], archive: Archive, files: list[RawFile]) -> None:
    """Download an archive from the first mirror that has it whole, and unpack these files."""
    errors = {}
    parent = files[0].path.parent
    with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=parent) as temporary:
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
    """A request that sends user and password to the host of the address, not after a redirect."""
    request = urllib.request.Request(without_credentials(url))
    credentials, at, _ = urlsplit(url).netloc.rpartition("@")
    if at:
        encoded = base64.b64encode(unquote(credentials).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {encoded}")
    return request


def _download(url: str, target: Path, md5: str) -> None:
    """Download a URL into a file and compare its MD5.

    Raises DatasetError if the file is incomplete, damaged or takes too long, or a network error.
    """
    deadline = time.monotonic() + DOWNLOAD_SECONDS
    opened = urllib.request.urlopen(_request(url), timeout=TIMEOUT_SECONDS)
    with opened as response, target.open("wb") as out:
        while chunk := response.read1(CHUNK):  # read() would wait for a whole chunk
            out.write(chunk)
            if time.monotonic() > deadline:
                raise DatasetError(f"the download is too slow: over {DOWNLOAD_SECONDS} seconds")
        if left := getattr(response, "length", None):
            raise DatasetError(f"the download ended {left:,} bytes early")
    if md5_of(target) != md5:
        raise DatasetError("the downloaded file does not match its checksum")


@contextmanager
def _open_member(archive: Path, file: Path) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """A file of an archive, by its name and its folder's; of an archive of one file, that one."""
    if archive.name.endswith(".tar.gz"):
        with tarfile.open(archive) as tar:
            packed_file = tar.extractfile(f"{file.parent.name}/{file.name}")
            assert packed_file is not None
            yield packed_file
    elif archive.suffix == ".zip":
        packed_name = f"gzip/{file.name}.gz"
        with (
            zipfile.ZipFile(archive) as bundle,
            bundle.open(packed_name) as packed,
            gzip.open(packed) as stream,
        ):
            yield stream
    else:
        is_packed = archive.suffix == ".gz"
        with gzip.GzipFile(archive) if is_packed else archive.open("rb") as content:
            yield content


def _unpack(archive: Path, file: RawFile) -> None:
    """Unpack one raw file beside the archive, check it, record its MD5, move it into place."""
    temporary = archive.with_name(f"{TEMPORARY_PREFIX}{file.path.name}")
    with _open_member(archive, file.path) as stream, temporary.open("wb") as out:
        shutil.copyfileobj(stream, out, CHUNK)
    md5 = md5_of(temporary)
    problem = find_fault(file._replace(path=temporary))
    if problem:
        raise DatasetError(f"{file.path.name} from {archive.name} {problem}")
    if file.md5 is None:  # first: a file without its record would count as put there by hand
        record = archive.with_name(md5_record(file).name)
        record.write_text(md5, encoding="ascii")
        record.replace(md5_record(file))
    temporary.replace(file.path)
