"""The fingerprint of raw files: the name where checksums fix them, else their content."""

import hashlib
import os
import struct

import pytest

from tasks.datasets.config import DatasetConfig
from tasks.datasets.contents import check_unchanged, source_fingerprint
from tasks.datasets.dataset import DatasetError
from tasks.datasets.downloaded import raw_files as raw_files_module
from tasks.datasets.downloaded.raw_files import expected_md5, find_fault, md5_record, raw_files
from tasks.steps.data import prepare_dataset

CONFIG = DatasetConfig(name="kmnist")


def content(file, value=0):
    header = struct.pack(f">HBB{len(file.shape)}I", 0, 8, len(file.shape), *file.shape)
    size = 1
    for length in file.shape:
        size *= length
    return header + bytes([value]) * size


def put(file, value=0):
    """Puts a file there as a user does: in one step, with a new inode."""
    file.path.parent.mkdir(parents=True, exist_ok=True)
    new = file.path.with_suffix(".new")
    new.write_bytes(content(file, value))
    new.replace(file.path)


def record(file):
    md5_record(file).write_text(hashlib.md5(file.path.read_bytes()).hexdigest())


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The raw files of a tiny KMNIST, put there by hand."""
    monkeypatch.setenv("STUDY_DATA", str(tmp_path / "data"))
    monkeypatch.setitem(raw_files_module.IMAGE_COUNTS, "kmnist", (20, 10))
    found = raw_files("kmnist")
    for file in found:
        put(file)
    return found


def test_files_that_no_checksum_fixes_count_by_their_content(files):
    before = source_fingerprint(CONFIG)
    assert len(before) == 64
    for file in files:
        put(file, 1)
        changed = source_fingerprint(CONFIG)
        assert changed != before
        put(file)
        assert source_fingerprint(CONFIG) == before


def test_verified_and_missing_and_damaged_files_count_by_the_name(files):
    for file in files:
        record(file)
    assert source_fingerprint(CONFIG) == "kmnist"
    files[0].path.unlink()  # it is downloaded and checked
    put(files[1], 1)  # it does not match its record, so it is downloaded
    files[2].path.write_bytes(b"")
    assert source_fingerprint(CONFIG) == "kmnist"


def test_a_download_beside_a_file_put_there_by_hand_changes_nothing(files):
    files[1].path.unlink()
    before = source_fingerprint(CONFIG)
    assert len(before) == 64
    put(files[1])
    record(files[1])
    assert source_fingerprint(CONFIG) == before


def test_published_checksums_need_no_reading(tmp_path, monkeypatch):
    monkeypatch.setenv("STUDY_DATA", str(tmp_path))
    for file in raw_files("mnist"):
        put(file)
    assert source_fingerprint(DatasetConfig(name="mnist")) == "mnist"


def make_garbage(path):
    path.write_bytes(b"\xff not a checksum")


def make_huge(path):
    with path.open("wb") as stream:
        stream.truncate(1 << 36)


RECORDS = {
    "garbage": make_garbage,
    "huge": make_huge,
    "a named pipe": os.mkfifo,
    "a folder": os.mkdir,
    "what md5sum prints": lambda path: path.write_text("0" * 32 + "  train-images"),
}


@pytest.mark.parametrize("make", RECORDS.values(), ids=RECORDS)
def test_anything_else_in_the_place_of_a_record_counts_as_none(files, make):
    make(md5_record(files[0]))
    assert expected_md5(files[0]) is None
    assert find_fault(files[0]) is None
    assert len(source_fingerprint(CONFIG)) == 64


def test_large_files_are_read_once_until_they_change(files, monkeypatch):
    read = []

    def digest(path):
        read.append(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(raw_files_module, "sha256_of", digest)
    assert source_fingerprint(CONFIG) == source_fingerprint(CONFIG)
    assert len(read) == 4
    put(files[2], 3)
    source_fingerprint(CONFIG)
    assert len(read) == 5


@pytest.fixture
def replaced_while_read(monkeypatch):
    """Does something after the step has read the dataset."""

    def during(action):
        from tasks.steps import data

        read = data.read_dataset

        def read_and_act(config):
            found = read(config)
            action()
            return found

        monkeypatch.setattr(data, "read_dataset", read_and_act)

    return during


def test_a_step_fails_if_its_files_are_replaced_while_it_reads(
    tmp_path, files, replaced_while_read
):
    source = source_fingerprint(CONFIG)
    prepare_dataset(tmp_path, CONFIG, source)
    replaced_while_read(lambda: put(files[0], 9))
    with pytest.raises(DatasetError, match=r"KMNIST/raw changed while the study was running"):
        prepare_dataset(tmp_path, CONFIG, source)


def test_a_verified_file_that_is_replaced_while_it_is_read_is_noticed(
    tmp_path, files, replaced_while_read
):
    for file in files:
        record(file)
    replaced_while_read(lambda: put(files[0], 9))
    with pytest.raises(DatasetError, match="changed while the study was running"):
        prepare_dataset(tmp_path, CONFIG, "kmnist")


def test_files_that_appear_by_hand_after_the_start_are_not_taken_for_the_download(files):
    with pytest.raises(DatasetError, match="changed while the study was running"):
        check_unchanged(CONFIG, "kmnist")


def test_a_file_that_cannot_be_read_is_said_in_one_line(files, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(raw_files_module, "sha256_of", refuse)
    with pytest.raises(DatasetError, match=r"^cannot read .*train-images.*denied; replace or"):
        source_fingerprint(CONFIG)
