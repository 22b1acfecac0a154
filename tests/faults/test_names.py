"""Odd folder names work or are refused; no name leads out of STUDY_HOME."""

import os
from pathlib import Path

import pytest

from tasks.code.modules import ROOT
from tasks.tracking.client import connect
from tests.faults.conftest import SHORT, SHORT_TRAINING, executed

ODD = "with space ünï 日本 #1 100% a%20b &;$'\"\\ [*] ~ a@b:c\nline ".ljust(200, "x")


def refused(study, *arguments, **variables):
    """Run what is refused; the one line that it says."""
    said = study.run(*arguments, code=2, **variables).stderr_text
    (line,) = said.splitlines()
    return line


def test_a_home_with_an_odd_name_is_as_good_as_any(alone, expected, tmp_path):
    alone.move(tmp_path / ODD)
    alone.run("run", "smoke")
    assert alone.fingerprints() == expected
    alone.assert_logged_once()
    written = alone.run("export", SHORT_TRAINING, "--to", str(tmp_path / "out")).stdout_text
    assert "weights.safetensors" in written
    assert all(task["action"] == "cached" for task in alone.plan("smoke").values())
    assert {path.name for path in tmp_path.iterdir()} == {ODD, "out", "results"}


@pytest.mark.parametrize("name", ["wha?t", os.fsdecode(b"not \xff text"), "a?b\nc"])
def test_a_home_that_no_database_can_lie_in_is_refused_at_once(study, tmp_path, name):
    home = tmp_path / "homes" / name
    home.parent.mkdir()
    for command in ("run", "plan", "status", "sync", "rerun"):
        assert "STUDY_HOME: " in refused(study, command, STUDY_HOME=str(home))
    assert list(home.parent.iterdir()) == []


@pytest.fixture
def placed(finished, tmp_path):
    """The finished study, run from an empty folder beside its home."""
    finished.folder = tmp_path / "place"
    finished.folder.mkdir()
    finished.variables["PYTHONPATH"] = str(ROOT)
    return finished


def outside(study):
    """Everything beside the home, with its content."""
    files = {path for path in study.home.parent.rglob("*") if study.home not in path.parents}
    return {path: path.read_bytes() if path.is_file() else b"" for path in files - {study.home}}


NAMES = ["../up", "/tmp/absolute", "..", "new\nline", "x' OR '1'='1\\"]


def test_names_that_lead_elsewhere_are_refused(placed, tmp_path):
    before = outside(placed)
    for name in NAMES:
        refused(placed, "run", name)
        refused(placed, "run", f"{name}.yaml")
        refused(placed, "run", "smoke", "--set", f"name={name!r}")
        refused(placed, "run", "smoke", "--set", f"dataset.name={name!r}")
        refused(placed, "run", "smoke", "--section", name)
        refused(placed, "report", name)
        refused(placed, "report", "--compare", name, "smoke")
        refused(placed, "rerun", name)
        refused(placed, "register", name)
    for name in NAMES[:2]:
        refused(placed, "rerun", "--task", name)
        refused(placed, "export", name, "--to", str(tmp_path / "out"))
    (placed.folder / "odd name.yaml").write_text("dataset: {name: digits}\n")
    assert "name: 'odd name'" in refused(placed, "run", "odd name.yaml")
    (placed.folder / "odd name.yaml").unlink()
    assert outside(placed) == before


def test_links_are_not_followed_out_of_the_home(placed, tmp_path):
    precious, work = tmp_path / "precious", tmp_path / "place"
    precious.mkdir()
    (precious / "file").write_text("precious")
    before = outside(placed)
    page = placed.home / "reports" / "smoke"
    page.rename(page.with_name("kept"))
    page.symlink_to(precious)
    assert f"{page} is a link" in refused(placed, *SHORT)
    page.unlink()
    unused = placed.home / "store" / "train" / "unused"
    unused.symlink_to(precious)
    placed.run("gc", "--yes")
    assert not unused.is_symlink()
    assert outside(placed) == before

    (work / "mlflow.yaml").write_text("experiment_prefix: ../../up/\n")
    assert "experiment_prefix: '../../up/'" in refused(placed, *SHORT)
    (work / "mlflow.yaml").unlink()
    assert outside(placed) == before


def test_an_export_writes_into_its_folder_alone(placed, tmp_path):
    precious, out = tmp_path / "precious", tmp_path / "out"
    precious.write_text("precious")
    out.mkdir()
    (out / "run.json").symlink_to(precious)
    placed.run("export", SHORT_TRAINING, "--to", str(out))
    assert precious.read_text() == "precious"
    assert not (out / "run.json").is_symlink()
    for wrong in (precious, precious / "below", Path("/proc/nothing")):
        assert f"--to '{wrong}'" in refused(placed, "export", SHORT_TRAINING, "--to", str(wrong))
    # the name of a run may be odd, for it names no file
    client = connect()
    experiment = client.search_experiments(filter_string="name = 'smoke'")[0].experiment_id
    client.create_run(experiment, run_name="../../up")
    placed.run("export", "../../up", "--to", str(out / "second"))
    assert {path.name for path in tmp_path.iterdir()} == {"out", "place", "precious", "results"}


def test_a_study_may_be_called_compare(placed):
    placed.run("report", "--compare", "smoke", "smoke")
    named = placed.run(*SHORT, "--set", "name=compare")
    assert "report[compare]" in executed(named)
    placed.run(*SHORT, "--set", "name=compare")
