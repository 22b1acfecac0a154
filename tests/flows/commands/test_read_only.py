"""STUDY_HOME on a file system that cannot be written: commands that read work, others say why."""

import os
import re
import subprocess

import pytest

from tasks.execution.invocations import InvocationLog
from tasks.system import json_lines
from tasks.tracking.client import TASK_TAG, connect
from tests.conftest import COMMAND

MOUNT = 'mount -o bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'


@pytest.fixture
def read_only(home, tmp_path):
    """Runs a command while STUDY_HOME, with a run that was killed, is mounted read-only."""
    run = subprocess.run
    if run(["unshare", "-rm", "sh", "-c", MOUNT, tmp_path, "true"], check=False).returncode:
        pytest.skip("needs a mount namespace")
    client = connect()
    experiment = client.create_experiment("made", (home / "mlartifacts" / "made").as_uri())
    run_id = client.create_run(experiment, tags={TASK_TAG: "train[x]"}).info.run_id
    client.log_metric(run_id, "test_loss", 0.5)
    log = InvocationLog("made", {}, [])
    log.note(tasks={"train[x]": {"task": "train", "key": "k", "outcome": "done"}})
    log._process_lock.release()

    def command(*arguments):
        return run(
            ["unshare", "-rm", "sh", "-c", MOUNT, str(home), *COMMAND, *arguments],
            env={**os.environ, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return command


def test_a_run_is_exported(read_only, tmp_path):
    found = read_only("export", "train[x]", "--to", str(tmp_path / "exported"))
    assert (found.returncode, found.stderr) == (0, "")
    assert "test_loss,0,0.5" in (tmp_path / "exported" / "metrics.csv").read_text()


def test_past_runs_are_listed_also_those_that_were_killed(read_only):
    found = read_only("status")
    assert (found.returncode, found.stderr) == (0, "")
    assert re.search("made .* CRASHED", found.stdout)


@pytest.mark.parametrize("arguments", [["register", "made"], ["gc", "--yes"], ["sync"]], ids=str)
def test_a_command_that_writes_is_refused_in_one_line(read_only, home, arguments):
    (home / "store" / "quarantine" / "left").mkdir(parents=True)
    (home / "spool").mkdir()
    json_lines.append(home / "spool" / "left.jsonl", {"do": "close"})
    found = read_only(*arguments)
    assert found.returncode == 1
    assert found.stderr == f"study: {home}: its disk is read-only; mount it writable\n"
