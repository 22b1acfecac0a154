"""The distributions of a release: built without a network, whole, and as the index wants them."""

import subprocess
import sys
import tarfile
import zipfile

import pytest

from tests.sources import FILES, PACKAGES, ROOT, copy_sources

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """The folder with the source distribution, and the wheel that is built from it."""
    source = tmp_path_factory.mktemp("source")
    copy_sources(source)
    build = [sys.executable, "-m", "build", "--no-isolation"]
    done = subprocess.run(build, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return source / "dist"


def test_twine_finds_nothing_wrong(dist):
    files = sorted(map(str, dist.iterdir()))
    assert [name.rpartition(".")[2] for name in files] == ["whl", "gz"]
    check = [sys.executable, "-m", "twine", "check", "--strict", *files]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2


def files_of_packages():
    """Every file of the packages, relative to the project."""
    return {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".md"
    }


def test_both_hold_every_file(dist):
    (wheel,), (source,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    in_wheel = set(zipfile.ZipFile(wheel).namelist())
    assert files_of_packages() - in_wheel == set()
    with tarfile.open(source) as archive:
        in_source = {name.partition("/")[2] for name in archive.getnames()}
    assert (files_of_packages() | set(FILES)) - in_source == set()
