"""A STUDY_HOME that was moved, copied or is below a link works, and its old folder stays away."""

import re
import shutil
import signal
import urllib.request
from pathlib import Path

import pytest

from tasks.system.files import sha256_of
from tasks.tracking.client import connect, find_run
from tests.faults.conftest import SHORT, SHORT_TRAINING, executed
from tests.faults.test_names import ODD


def assert_exports(study, folder):
    written = study.run("export", SHORT_TRAINING, "--to", str(folder))
    names = {Path(line).name for line in written.stdout_text.splitlines()}
    assert {"weights.safetensors", "spec.json", "metrics.csv"} <= names
    return written


@pytest.mark.parametrize("name", ["moved", ODD], ids=["plain", "odd"])
def test_every_command_works_in_a_moved_home(finished, tmp_path, name):
    old, new = finished.home, tmp_path / "elsewhere" / name
    before = finished.fingerprints()
    new.parent.mkdir()
    old.rename(new)
    finished.move(new)

    said = assert_exports(finished, tmp_path / "out").stderr_text
    assert f"STUDY_HOME was {old} and is {new} now" in said.replace("\\n", "\n")
    assert "d5" in finished.run("register", "smoke").stdout_text
    again = finished.run("rerun", "smoke", "--task", SHORT_TRAINING)
    assert SHORT_TRAINING in executed(again)
    assert again.stderr_text == ""
    assert "cached" in finished.run("run", "smoke").stdout_text
    assert finished.fingerprints() == before
    assert str(new) in finished.run("report", "smoke").stdout_text
    finished.run("sync")
    finished.run("gc", "--keep", "1", "--yes")
    assert_exports(finished, tmp_path / "out-2")
    finished.assert_logged_once()
    assert not old.exists()


def test_a_copy_and_its_original_both_work(finished, tmp_path):
    original, copy = finished.home, tmp_path / "copy"
    shutil.copytree(original, copy)
    finished.move(copy)
    first = assert_exports(finished, tmp_path / "of-copy")
    assert "STUDY_HOME was" in first.stderr_text
    shutil.rmtree(copy)
    finished.move(original)
    assert assert_exports(finished, tmp_path / "of-original").stderr_text == ""
    same = [sha256_of(tmp_path / one / "weights.safetensors") for one in ("of-copy", "of-original")]
    assert len(set(same)) == 1


def test_the_page_of_a_moved_home_shows_its_artifacts(finished, tmp_path):
    old, new = finished.home, tmp_path / "moved"
    run = find_run(connect(), SHORT_TRAINING)
    old.rename(new)
    finished.move(new)
    pages = finished.start("ui")
    try:
        address = ""
        while not address:
            line = pages.stdout.readline()
            assert line, pages.communicate()
            found = re.match(r"MLflow: (\S+)", line)
            address = found[1] if found else ""
        wanted = f"{address}/get-artifact?path=weights.safetensors&run_uuid={run.info.run_id}"
        with urllib.request.urlopen(wanted) as answer:
            assert len(answer.read()) > 1000
    finally:
        pages.send_signal(signal.SIGINT)
        pages.communicate(timeout=60)  # it stops the server that it started
    assert not old.exists()


def test_an_export_of_lost_artifacts_is_an_error(finished, tmp_path):
    shutil.rmtree(finished.home / "mlartifacts")
    said = finished.run("export", SHORT_TRAINING, "--to", str(tmp_path / "out"), code=1)
    (line,) = said.stderr_text.splitlines()
    assert f"has no weights.safetensors in {finished.home.as_uri()}/mlartifacts" in line
    assert not (tmp_path / "out").exists()


def test_a_deleted_run_is_logged_again(finished, tmp_path):
    """What the message about lost artifacts advises."""
    client = connect()
    run = find_run(client, SHORT_TRAINING)
    shutil.rmtree(finished.home / "mlartifacts" / "smoke" / run.info.run_id)
    client.delete_run(run.info.run_id)
    assert "cached" in finished.run(*SHORT).stdout_text
    assert_exports(finished, tmp_path / "out")
