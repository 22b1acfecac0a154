import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.specs import ConfigError
from tasks.system.disk_errors import (
    DISK_ERRORS,
    DiskError,
    disk_errors,
    disk_reason,
    why_unwritable,
)
from tasks.system.files import UnusableFileError


def raised_in(error, cause=None):
    """What ``disk_errors`` raises in place of an error with this cause."""
    with pytest.raises(Exception) as raised, disk_errors():  # noqa: PT011, PT012
        if cause is None:
            raise error
        raise error from cause
    return raised.value


@pytest.mark.parametrize("number", DISK_ERRORS)
def test_an_error_of_the_disk_names_the_folder_and_what_to_do(home, number):
    inside = OSError(number, os.strerror(number), str(home / "store" / "x"))
    outside = OSError(number, os.strerror(number), "/other/y")
    for error, folder in ((inside, home), (outside, Path("/other")), (OSError(number, ""), home)):
        found = raised_in(RuntimeError("not written"), error)
        assert type(found) is DiskError
        assert str(found) == f"{folder}: {DISK_ERRORS[number]}"


def test_the_error_of_a_library_names_the_disk_by_the_number_in_it(home):
    text = "Error while serializing: I/O error: No space left on device (os error 28)"
    assert str(raised_in(ValueError(text))) == f"{home}: {DISK_ERRORS[errno.ENOSPC]}"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("NaN"),
        OSError(errno.EACCES, "denied", "/x"),
        UnusableFileError(errno.EFBIG, "is larger than 3 bytes"),  # than a limit on reading
        ConfigError("seeds: none (os error 28)"),
    ],
)
def test_other_errors_stay(error, home):
    home.mkdir()
    assert raised_in(error) is error


def test_an_unclear_error_on_a_full_disk_is_an_error_of_the_disk(monkeypatch, home):
    full = f"{home}: {DISK_ERRORS[errno.ENOSPC]}"
    monkeypatch.setattr(
        "tasks.system.disk_errors.why_unwritable", lambda folder: full if folder == home else ""
    )
    assert str(raised_in(RuntimeError("unexpected pos 64 vs 0"))) == full
    assert disk_reason(RuntimeError("unexpected pos 64 vs 0")) == ""  # no folder is suspected


def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path):
    assert why_unwritable(tmp_path) == ""
    assert why_unwritable(tmp_path / "missing") == ""
    assert list(tmp_path.iterdir()) == []


def test_a_file_at_the_limit_of_file_sizes_is_seen(tmp_path):
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a folder" / "weights").write_bytes(bytes(3_000_000))
    code = "from tasks.system.disk_errors import *; print(why_unwritable(Path(sys.argv[1])))"
    for limit, words in ((3_000_000, "the limit of file sizes"), (9_000_000, "")):
        command = ["prlimit", f"--fsize={limit}", sys.executable, "-c", f"import sys; {code}"]
        said = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=True)
        assert words in said.stdout
        assert bool(said.stdout.strip()) == bool(words)
