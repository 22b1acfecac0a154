"""Disks that are full, read-only or limited: a study ends at once, says so, and goes on later."""

import contextlib
import json
import subprocess
import time
from pathlib import Path

import pytest

from tasks.cache.entry import MANIFEST
from tests.conftest import SMOKE_TASKS
from tests.faults.conftest import SHORT, Study, executed

SECONDS = 30  # from the fault to the end; a machine that does nothing else takes under 10
FULL = "its disk is full; free space there"
GO_ON = ("run what is missing with: study rerun smoke", "start it again")  # after its record
READ_ONLY = "its disk is read-only; mount it writable"
NEVER_SAID = ("Traceback", "terminate called", "PREFECT_API_URL")
FIRST = "data[digits] done"


class Disk:
    """A disk of so many MB in a mount namespace of its own, where commands with ``prefix`` run."""

    def __init__(self, folder, size):
        folder.mkdir()
        mount = f"mount -t tmpfs -o size={size}m none {folder} && echo mounted && exec cat"
        self._holder = subprocess.Popen(
            ["unshare", "-rm", "sh", "-c", mount],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = self._holder.stdout.readline()
        if said != "mounted\n":
            self.close()
            pytest.skip(f"unshare: {said.strip()}")
        self.folder = folder
        self.outside = Path(f"/proc/{self._holder.pid}/root") / folder.relative_to("/")
        enter = ["nsenter", "-t", str(self._holder.pid), "-U", "-m", "--preserve-credentials"]
        self.prefix = enter

    def do(self, *command):
        subprocess.run([*self.prefix, *command], check=True)

    def resize(self, size):
        self.do("mount", "-o", f"remount,size={size}m", str(self.folder))

    def fill(self):
        """Take all space that is left."""
        with (
            (self.outside / "filler").open("wb", buffering=0) as file,
            contextlib.suppress(OSError),
        ):
            while file.write(bytes(1 << 16)):
                pass

    def free(self):
        (self.outside / "filler").unlink()

    def make_read_only(self):
        """As a system does after an error of the disk, except for files that are open."""
        self.do("mount", "--bind", str(self.folder), str(self.folder))
        for _ in range(100):  # it is busy while a file in it is being opened for writing
            with contextlib.suppress(subprocess.CalledProcessError):
                return self.do("mount", "-o", "remount,bind,ro", str(self.folder))
            time.sleep(0.05)
        raise AssertionError(f"{self.folder} stays busy")

    def make_writable(self):
        self.do("umount", str(self.folder))

    def close(self):
        self._holder.communicate()


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The command in a new home, with a Prefect server of its own."""
    return Study(tmp_path / "results", {}, monkeypatch)


@pytest.fixture
def disk_of(study, tmp_path):
    """Makes a disk of so many MB on which the command runs."""
    with contextlib.ExitStack() as disks:

        def make(size):
            disk = Disk(tmp_path / "disk", size)
            disks.callback(disk.close)
            study.prefix = disk.prefix
            return disk

        yield make


def watch(study, *arguments, at=None, do=None, **variables):
    """Run a study that has a fault.

    ``do`` is done when ``at`` is printed; without it the fault comes by itself. Returns what was
    printed, the seconds from the first failure, or else from the fault, to the end, and the code.
    """
    process = study.start(*arguments, **variables)
    lines, fault, failed = [], None, False
    with process:
        for line in process.stdout:
            lines.append(line)
            if do is not None and fault is None and at in line:
                do()
                fault = time.monotonic()
            if " failed: " in line and not failed:
                fault, failed = time.monotonic(), True
        process.stdout_text, process.stderr_text = "".join(lines), process.stderr.read()
        code = process.wait(timeout=30)
        seconds = time.monotonic() - fault if fault else 0
    said = process.stdout_text + process.stderr_text
    assert not [word for word in NEVER_SAID if word in said], said
    return process, seconds, code


def fails(study, *arguments, **named):
    """As ``watch``, for a study that exits with 1."""
    process, seconds, code = watch(study, *arguments, **named)
    assert code == 1, process.stdout_text + process.stderr_text
    return process, seconds


def assert_one_line(process, reason):
    *others, last = process.stderr_text.splitlines()
    assert last in [f"study: {reason}, then {how}" for how in GO_ON]
    assert others in ([], ["warning: Prefect's page does not show all of this run: error 500"])


def published(home):
    """The names of the entries in the store of a home."""
    manifests = home.glob(f"store/*/*/{MANIFEST}")
    return {json.loads(path.read_text())["entry"]["name"] for path in manifests}


def assert_goes_on(study, first, home=None, **variables):
    """Run what is missing; nothing that was done before is computed again.

    ``home`` is the path of the study's home outside of its namespace.
    """
    before = published(home or study.home)
    assert set(executed(first)) <= before
    again = study.run(*SHORT, **variables)
    assert set(executed(again)) == published(home or study.home) - before
    assert "report[smoke]" in published(home or study.home)


@pytest.mark.parametrize("size", [3, 6])
def test_a_home_on_a_small_disk(study, disk_of, size):
    disk = disk_of(size)
    study.move(disk.folder / "results")
    process, seconds = fails(study, *SHORT)
    assert seconds < SECONDS
    full = f"{study.home}{'/prefect' if size == 3 else ''}"
    assert_one_line(process, f"{full}: {FULL}")
    disk.resize(100)
    assert_goes_on(study, process, disk.outside / "results")


@pytest.mark.parametrize(
    ("fault", "mend", "reason"),
    [("fill", "free", FULL), ("make_read_only", "make_writable", READ_ONLY)],
    ids=["full", "read-only"],
)
def test_a_home_that_can_no_longer_be_written(study, disk_of, fault, mend, reason):
    disk = disk_of(100)
    study.move(disk.folder / "results")
    process, seconds = fails(study, *SHORT, at=FIRST, do=getattr(disk, fault))
    assert seconds < SECONDS
    assert_one_line(process, f"{study.home}: {reason}")
    getattr(disk, mend)()
    assert_goes_on(study, process, disk.outside / "results")


def test_a_full_disk_of_mlflow_costs_no_training(study, disk_of):
    disk = disk_of(3)
    uri = {"MLFLOW_TRACKING_URI": f"sqlite:///{disk.folder}/mlflow.db"}
    process, _ = fails(study, *SHORT, at=FIRST, do=disk.fill, **uri)
    assert "report[smoke]" in executed(process)
    assert_one_line(process, f"MLflow: {disk.folder}: {FULL}")
    disk.free()
    assert_goes_on(study, process, **uri)
    assert not list((study.home / "spool").iterdir())


def test_a_full_disk_of_prefect(study, disk_of):
    disk = disk_of(20)
    prefect = {"PREFECT_HOME": str(disk.folder / "prefect")}
    process, _ = fails(study, *SHORT, at=FIRST, do=disk.fill, **prefect)
    assert_one_line(process, f"{disk.folder}/prefect: {FULL}")
    disk.free()
    assert_goes_on(study, process, **prefect)


@pytest.mark.parametrize("limit", [500_000, 2_500_000])
def test_a_limit_of_file_sizes(study, limit):
    study.prefix = ["prlimit", f"--fsize={limit}"]
    process, seconds = fails(study, *SHORT)
    assert seconds < SECONDS
    assert "a file reached the limit of file sizes; raise it" in process.stderr_text
    study.prefix = []
    assert_goes_on(study, process)


@pytest.mark.parametrize(
    "redirection", ["2>&1 | head -1", "2>&-", ">&-", "<&-", "<&- >&- 2>&-", "> /dev/full"]
)
def test_closed_streams_end_no_study(study, redirection):
    command = f'exec 3>&1; {{ "$@"; echo "code $?" >&3; }} {redirection}'
    study.prefix = ["bash", "-c", command, "bash"]
    said = study.run(*SHORT)
    assert "code 0" in said.stdout_text
    assert said.stderr_text == ""
    study.prefix = []
    assert executed(study.run(*SHORT)) == []


@pytest.mark.sweep
@pytest.mark.parametrize("size", [4, 5, *range(6, 62, 2)])
def test_a_whole_study_on_a_disk_of_any_size(study, disk_of, size):
    disk = disk_of(size)
    study.move(disk.folder / "results")
    process, seconds, code = watch(study, "run", "smoke")
    done = set(executed(process))
    print(f"{size} MB: exit {code}, {len(done)} done, {seconds:.1f} s from the fault to the end")
    print(process.stderr_text)
    assert done <= published(disk.outside / "results")
    if code == 0:
        assert len(done) == SMOKE_TASKS
        assert process.stderr_text == ""
    else:
        assert code == 1
        assert seconds < SECONDS
        assert process.stderr_text.strip().endswith(tuple(f"{FULL}, then {how}" for how in GO_ON))
        (_line,) = process.stderr_text.splitlines()
