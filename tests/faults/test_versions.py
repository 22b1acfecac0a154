"""Records of other versions, damaged ones, and clocks that disagree: what each command does."""

import os
import shutil
import time

import pytest

from tasks.execution.invocations import invocations
from tasks.system import json_lines
from tasks.tracking.spool import FORMAT, Spool
from tests.conftest import SMOKE_TASKS, study_runs
from tests.faults.conftest import ALONE

THEORY, TRANSFER = ("--section", "theory"), ("--section", "transfer")


def record_of(study):
    (path,) = (study.home / "invocations").glob("*.jsonl")
    return path


def refused(study, *arguments, code=2):
    """The one line with which the command refuses."""
    (line,) = study.run(*arguments, code=code).stderr_text.splitlines()
    return line


def files_in_store(study):
    return sorted(path for path in (study.home / "store").rglob("*") if path.is_file())


@pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed")
def test_the_newer_run_is_taken_in_every_timezone_and_after_the_clock_was_set_back(finished):
    first = finished.run("run", "smoke", *THEORY, *ALONE, TZ="Asia/Tokyo")
    assert "study smoke: theory" in first.stdout_text
    finished.run("run", "smoke", *TRANSFER, *ALONE, TZ="America/Los_Angeles")
    assert finished.latest().sections == ["transfer"]
    finished.prefix = ["faketime", "-f", "-2h"]
    finished.run("run", "smoke", *THEORY, *ALONE)
    found = list(invocations())
    assert [one.sections for one in found[:3]] == [["theory"], ["transfer"], ["theory"]]
    assert found[0].ended < found[1].ended - 3600  # the clock was behind
    assert 0 <= found[0].duration < 300
    finished.prefix = []
    again = finished.run("rerun", TZ="Asia/Tokyo")
    assert "study smoke: theory" in again.stdout_text
    shown = finished.run("status", TZ="Asia/Tokyo", COLUMNS="200").stdout_text.splitlines()
    names = [one.short_id for one in invocations()]
    assert [line.split()[1] for line in shown[1:6]] == names
    tags = [run.data.tags["study.invocation"] for run in study_runs("smoke")]
    assert {tag[: len(names[0])] for tag in tags} == set(names)
    assert all(run.info.run_name.endswith(" UTC") for run in study_runs("smoke"))
    finished.run("gc", "--keep", "1", "--yes")
    assert {path.parts[-3] for path in files_in_store(finished)} >= {"theory"}
    assert not list((finished.home / "store" / "transfer").iterdir())


@pytest.mark.parametrize("damage", ["newer", "cut", "pipe"])
def test_a_record_that_cannot_be_read_stops_what_would_use_it_and_nothing_else(finished, damage):
    path = record_of(finished)
    if damage == "newer":
        json_lines.append(path, {"format": 99, "sections": {"new": "shape"}})
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:300])
    else:
        path.unlink()
        os.mkfifo(path)
    before = files_in_store(finished)
    assert str(path) in refused(finished, "rerun")
    assert str(path) in refused(finished, "gc", "--keep", "1", "--yes")
    assert files_in_store(finished) == before
    assert str(path) in refused(finished, "report", "--compare", path.stem, "smoke")
    for command in ("status", "plan"):
        (line,) = finished.run(command, *["smoke"] * (command == "plan")).stderr_text.splitlines()
        assert line.startswith(f"warning: {path} ")
    assert f"{SMOKE_TASKS} cached" in finished.run("plan", "smoke").stdout_text


def test_settings_of_another_version_are_one_line(finished):
    path = record_of(finished)
    config = next(json_lines.read(path))["config"]
    json_lines.append(path, {"config": config | {"patience": 3}, "colour": "red"})
    for command in (("rerun",), ("report", "--compare", "smoke", path.stem[:15])):
        line = refused(finished, *command)
        assert "settings are of another version of this project: patience: unknown key" in line
        assert line.endswith("start again with: study run smoke")
    assert finished.run("status").stderr_text == ""


def test_spools_of_another_version_are_kept_and_said(finished):
    newer, unknown = Spool("20260101-newer"), Spool("20260102-unknown")
    json_lines.append(newer.path, {"format": FORMAT + 1})
    at = {"at": int(time.time() * 1000)}
    unknown.add({"do": "teleport"} | at)
    unknown.add(
        {"do": "start_study", "parameters": {"name": "other", "training": {"epochs": 1}}}
        | {"source": {}}
        | at
    )
    pipe = newer.path.with_name("20260103-pipe.jsonl")
    os.mkfifo(pipe)
    lines = finished.run("sync", code=1).stderr_text.splitlines()
    paths = {str(newer.path), str(unknown.path), str(pipe)}
    assert {line.split()[1] for line in lines} == paths
    assert len(lines) == 3
    assert all(os.path.lexists(path) for path in paths)
    assert len(study_runs("other")) == 1


STUDY_FILES = {
    "aliases": "\n".join(
        ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{f'*a{n - 1},' * 9}]" for n in range(1, 13)]
    ),
    "levels": "[" * 50_000,
    "large": "# " + "x" * 100_000_000,
    "class": "seeds: !!python/object/apply:os.system [exit]",
    "pipe": None,
}


@pytest.mark.parametrize("content", STUDY_FILES.values(), ids=STUDY_FILES)
def test_a_study_file_beyond_the_bounds_is_refused_in_one_line(study, tmp_path, content):
    path = tmp_path / "own.yaml"
    if content is None:
        os.mkfifo(path)
    else:
        path.write_text(content)
    process = study.start("plan", str(path))
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (2, "")
    (line,) = stderr.splitlines()
    assert str(path) in line
