import signal
import subprocess
import sys

import pytest

from tasks.code.modules import ROOT
from tasks.system.failpoints import FailpointError, fail_point

NAME = "train[depth=2, seed=0]"


def test_exactly_the_named_task_fails(monkeypatch):
    fail_point(NAME)
    monkeypatch.setenv("STUDY_FAILPOINT", NAME)
    fail_point("train[depth=2, seed=1]")
    for _ in range(2):
        with pytest.raises(FailpointError, match=r"^STUDY_FAILPOINT=train\[depth=2, seed=0\]$"):
            fail_point(NAME)


def test_a_task_fails_once_in_each_home(monkeypatch, tmp_path):
    monkeypatch.setenv("STUDY_FAILPOINT", f"{NAME}:once")
    for home in ("one", "two"):
        monkeypatch.setenv("STUDY_HOME", str(tmp_path / home))
        with pytest.raises(FailpointError):
            fail_point(NAME)
        fail_point(NAME)


MOMENTS = f"""
from tasks.system.failpoints import kill_point
for name, moment in [("other", "epoch=2"), ("{NAME}", "epoch=1"), ("{NAME}", "epoch=2")]:
    print(name, moment, flush=True)
    kill_point(name, moment)
print("survived")
"""


@pytest.mark.parametrize(("wanted", "code", "lines"), [("2", -signal.SIGKILL, 3), ("3", 0, 4)])
def test_a_process_is_killed_at_exactly_the_chosen_moment(monkeypatch, wanted, code, lines):
    monkeypatch.setenv("STUDY_FAILPOINT_KILL", f"{NAME}:epoch={wanted}")
    command = [sys.executable, "-c", MOMENTS]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, len(done.stdout.splitlines())) == (code, lines)
