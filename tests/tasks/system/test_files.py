"""Reading files that others wrote: regular ones only, within a limit."""

import os
import socket
import time

import pytest

from tasks.system.files import UnusableFileError, read_regular_file, regular_file_size


def test_a_regular_file_is_read_up_to_its_limit(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_regular_file(path, 5) == b"12345"
    with pytest.raises(UnusableFileError, match="is larger than 4 bytes"):
        read_regular_file(path, 4)


def test_a_huge_file_costs_neither_time_nor_memory(tmp_path):
    path = tmp_path / "file"
    path.touch()
    os.truncate(path, 10 << 30)
    started = time.monotonic()
    with pytest.raises(UnusableFileError, match="is larger than 1,000,000 bytes"):
        read_regular_file(path, 1_000_000)
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "socket"])
def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path, kind):
    path = tmp_path / "file"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "socket":
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(path))
        server.close()
    else:
        path.mkdir()
    with pytest.raises(UnusableFileError, match="is not a regular file"):
        read_regular_file(path, 100)
    assert regular_file_size(path) is None


def test_links_are_followed_unless_told_otherwise(tmp_path):
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"12345")
    link.symlink_to(path)
    assert read_regular_file(link, 5) == b"12345"
    assert (regular_file_size(path), regular_file_size(link)) == (5, None)
    with pytest.raises(UnusableFileError, match="is not a regular file"):
        read_regular_file(link, 5, follow_links=False)
