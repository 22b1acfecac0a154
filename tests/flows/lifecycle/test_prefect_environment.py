import errno
import os
import subprocess
import sys

import httpx
import pytest

from flows.lifecycle import prefect_environment
from flows.lifecycle.prefect_environment import (
    LOOPBACK,
    prepare_environment,
    report_prefect_errors,
)
from models.specs import ConfigError
from tasks.system.disk_errors import DiskError
from tasks.system.folders import study_home


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """The environment of one test, without what this process has set for Prefect."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    monkeypatch.setattr(os, "environ", kept)


def test_prefects_files_are_below_study_home_unless_it_has_its_own_folder(home):
    prepare_environment()
    assert os.environ["PREFECT_HOME"] == str(home / "prefect")
    assert (home / "prefect").is_dir()
    os.environ["PREFECT_HOME"] = "/chosen"
    prepare_environment()
    assert os.environ["PREFECT_HOME"] == "/chosen"


def test_a_study_home_that_cannot_be_written_is_refused(home):
    home.touch()  # a file in its place
    with pytest.raises(ConfigError, match=f"STUDY_HOME: nothing can be written below {home}"):
        prepare_environment()


def test_a_report_folder_that_is_a_link_is_refused(home, tmp_path):
    (home / "reports").mkdir(parents=True)
    (home / "reports" / "mnist").symlink_to(tmp_path)
    with pytest.raises(ConfigError, match=r"reports/mnist is a link"):
        prepare_environment()


@pytest.mark.parametrize(
    ("given", "expected"),
    [("", LOOPBACK), ("corporate", f"corporate,{LOOPBACK}"), (f"a,{LOOPBACK}",) * 2, ("*", "*")],
)
def test_no_proxy_is_asked_for_what_runs_here(given, expected):
    os.environ |= {"no_proxy": given, "NO_PROXY": given}
    prepare_environment()
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == expected


def test_the_console_stays_quiet_when_the_database_complains(tmp_path):
    complain = (
        "import logging; from flows.lifecycle.prefect_environment import prepare_environment; "
        "prepare_environment(); "
        "import prefect.main, sqlalchemy; logging.getLogger('sqlalchemy.pool').error('stopped')"
    )
    done = subprocess.run(
        [sys.executable, "-c", complain],
        env=os.environ | {"STUDY_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""


def raise_in(error):
    with report_prefect_errors():
        raise error


def answer(status):
    request = httpx.Request("GET", "http://me:secret@host/api/flows")
    return httpx.HTTPStatusError("", request=request, response=httpx.Response(status))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (answer(401), "http://host/api/flows answers with 401; set PREFECT_API_AUTH_STRING"),
        (answer(500), "http://host/api/flows answers with 500; unset PREFECT_API_URL"),
        (httpx.ConnectError("refused"), "refused; start that server"),
        (httpx.ReadTimeout(""), "ReadTimeout; start that server"),
        (RuntimeError("Failed to reach API at x"), "Failed to reach API at x; start that server"),
    ],
)
def test_an_error_of_the_users_prefect_server_is_one_line(error, words, monkeypatch):
    monkeypatch.setattr(prefect_environment, "_has_own_server", True)
    with pytest.raises(ConfigError) as raised:
        raise_in(error)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.fixture
def server_here(monkeypatch, tmp_path):
    """The server is one that was started for this STUDY_HOME; the folder of its database."""
    monkeypatch.setattr(prefect_environment, "_has_own_server", False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("error", [answer(500), httpx.ConnectError("refused")])
def test_who_named_no_server_is_not_told_to_unset_it(server_here, error):
    with pytest.raises(ConfigError, match="run the same command again") as raised:
        raise_in(error)
    assert "PREFECT_API_URL" not in str(raised.value)


def test_a_server_here_whose_disk_is_full_is_explained_by_the_disk(server_here, monkeypatch):
    full = f"{server_here}: its disk is full; free space there"
    monkeypatch.setattr("tasks.system.disk_errors.why_unwritable", lambda folder: full)
    with pytest.raises(DiskError, match=full):
        raise_in(answer(500))


def raise_while_ending(first, error):
    try:
        raise first
    except type(first):
        raise_in(error)


def test_a_study_that_ended_with_a_full_disk_says_so_whatever_the_server_answers(server_here):
    full = DiskError("/results: its disk is full")
    with pytest.raises(DiskError, match=str(full)):
        raise_while_ending(full, answer(500))


def test_a_home_on_a_full_disk_is_refused(monkeypatch):
    def refuse(**_):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(prefect_environment.tempfile, "TemporaryFile", refuse)
    with pytest.raises(DiskError, match=f"{study_home()}: its disk is full; free space there"):
        prepare_environment()


@pytest.mark.parametrize("error", [RuntimeError("a bug"), ValueError("another")])
def test_other_errors_are_passed_on(error):
    with pytest.raises(type(error)) as raised:
        raise_in(error)
    assert raised.value is error
