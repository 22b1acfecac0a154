""".ci/check: every test of kills and races is in one of its parts."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / ".ci" / "check"
BY_NAME = {"damage", "places", "cluster", "servers", "stores"}
PARTS = dict(re.findall(r"^ +(\w+)\) echo \"([\w ]+)\" ;;$", SCRIPT.read_text(), re.MULTILINE))


def test_every_file_of_kills_and_races_is_in_one_part():
    listed = sorted(name for names in PARTS.values() for name in names.split())
    files = (ROOT / "tests" / "faults").glob("test_*.py")
    assert listed == sorted(path.stem.removeprefix("test_") for path in files)


def test_all_parts_run_but_those_that_are_run_by_name():
    called = re.findall(r"^ +fault_tests (\w+)$", SCRIPT.read_text(), re.MULTILINE)
    assert sorted([*called, *BY_NAME]) == sorted(PARTS)


@pytest.fixture
def check(tmp_path):
    """Runs a copy of the script. Its programs only print how they are called."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "check").write_text(SCRIPT.read_text())
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("mkdocs", "mypy", "pytest", "ruff"):
        (programs / name).write_text('#!/bin/sh\necho "$(basename "$0") $*"\n')
        (programs / name).chmod(0o755)

    def run(*arguments):
        program = ["bash", str(tmp_path / ".ci" / "check"), *arguments]
        return subprocess.run(program, capture_output=True, text=True, check=False)

    return run


def test_the_script_calls_each_part_with_its_files(check):
    calls = [line for line in check().stdout.splitlines() if "-m faults" in line]
    assert len(calls) == len(PARTS) - len(BY_NAME)
    for part, names in PARTS.items():
        (alone,) = check("--faults", part).stdout.splitlines()
        assert (alone in calls) == (part not in BY_NAME)
        called = re.findall(r"tests/faults/test_(\S+)\.py", alone)
        assert called == names.split()


@pytest.mark.parametrize("arguments", [["--faults"], ["--faults", "nothing"]])
def test_an_unknown_part_is_one_line(check, arguments):
    done = check(*arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "there are: " in line
    assert "kills" in line
