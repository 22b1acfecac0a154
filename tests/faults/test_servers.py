"""An MLflow that is in trouble costs no result and little time, and has everything later, once."""

import os
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from filelock import FileLock

from tasks.cache import store
from tasks.cache.entry import MANIFEST
from tasks.execution.invocations import invocations
from tasks.system.files import sha256_of
from tasks.tracking.client import connect
from tests.conftest import SMOKE_TASKS, study_runs
from tests.faults.conftest import SHORT, Study
from tests.faults.logged import logged
from tests.servers import Proxy, TrackingServer, asked, postgresql

LONGEST_WAIT = 30  # seconds that a study waits for MLflow in all
LOCKED = OUTAGE = 60


@pytest.fixture
def tracking_server(tmp_path, study):
    """An MLflow server with nothing in it, which the command uses."""
    with TrackingServer(tmp_path / "mlflow") as found:
        study.variables["MLFLOW_TRACKING_URI"] = found.address
        yield found


@pytest.fixture
def proxy(tracking_server, study):
    """What stands between the command and the server."""
    with Proxy(tracking_server.address) as found:
        study.variables["MLFLOW_TRACKING_URI"] = found.address
        yield found


@pytest.fixture(scope="session")
def short(shared, server):
    """What the short study comes out as, and what MLflow holds of it, undisturbed."""
    home = shared / "short"
    variables = {"PREFECT_API_URL": server}
    with FileLock(shared / "short.lock"), pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        study = Study(home, variables, patch)
        if not (home / "reports").exists():
            study.run(*SHORT)
        return study.fingerprints(), logged()


@pytest.fixture
def run_through(study):
    """Run a study with trouble that begins in the middle; it must not notice.

    Returns what it said.
    """

    def run(trouble, expected, *command):
        process = study.start(*command)
        while not list((study.home / "store" / "train").glob("*")):
            assert process.poll() is None, "it ended before it was hurt"
            time.sleep(0.05)
        trouble()
        _, said = process.communicate(timeout=300)
        assert_undisturbed(study, expected, process.returncode, said)
        return said

    return run


def assert_undisturbed(study, expected, code, said):
    assert code == 0, said
    assert "Traceback" not in said
    assert said.count("warning:") <= 1
    assert study.fingerprints() == expected
    assert waited(study) < LONGEST_WAIT


def waited(study):
    """Seconds between the last result and the end of the latest invocation."""
    report = study.latest().tasks["report[smoke]"]
    entry, _ = store.inspect(report.task, report.key)
    return study.latest().ended - entry.path(MANIFEST).stat().st_mtime


def sync(study):
    study.run("sync")


def next_run(study):
    for _ in range(5):  # on a busy machine one run does not wait for all of it
        again = study.run(*SHORT)
        assert "6 cached" in again.stdout_text
        if not again.stderr_text:
            return
    raise AssertionError(again.stderr_text)


def assert_all_logged_later(study, undisturbed, later):
    """Once MLflow is well, it holds the study as if there had been no trouble."""
    first = study.latest().id
    later(study)
    assert logged(first) == undisturbed
    assert study.run("sync").stdout_text == "nothing is left to log\n"


def test_the_comparison_sees_what_is_missing_and_what_is_there_twice(finished, reference):
    assert logged() == reference
    client = connect()
    model = next(run for run in finished.runs() if run.data.tags["study.kind"] == "model")
    client.log_metric(model.info.run_id, "train_loss", 0.5, step=2)
    assert logged() != reference
    parent = study_runs("smoke")[0].info
    twin = client.create_run(parent.experiment_id, tags=study_runs("smoke")[0].data.tags).info
    client.set_terminated(twin.run_id, "FINISHED")
    assert len(logged()) == len(reference) + 1
    client.delete_run(twin.run_id)
    client.delete_run(model.info.run_id)
    assert len(logged()) == len(reference) - 1


def test_a_study_with_both_servers_on_postgresql(
    study, servers_on_postgresql, expected, reference, tmp_path
):
    study.move(tmp_path / "home")
    said = study.run("run", "smoke")
    assert said.stderr_text == ""
    assert study.fingerprints() == expected
    assert logged() == reference
    assert_readable_through_the_server(study)
    assert f"{SMOKE_TASKS} cached" in study.run("run", "smoke").stdout_text
    flow_runs = f"{study.variables['PREFECT_API_URL']}/flow_runs/filter"
    (flow_run, again) = asked(flow_runs, sort="START_TIME_ASC")
    assert (flow_run["state"]["name"], again["state"]["name"]) == ("Completed",) * 2
    assert flow_run["id"] == [*invocations()][-1].flow_run_id
    assert not (study.home / "mlflow.db").exists()
    assert not list(study.home.rglob("prefect.db"))


def assert_readable_through_the_server(study):
    client = connect()
    (parent,) = study_runs("smoke")
    page = client.download_artifacts(parent.info.run_id, "index.html")
    assert study.latest().id in Path(page).read_text(encoding="utf-8")
    for run in study.runs():
        if run.data.tags["study.kind"] == "model":
            entry, _ = store.inspect("train", run.data.tags["study.key"])
            weights = client.download_artifacts(run.info.run_id, "weights.safetensors")
            assert sha256_of(Path(weights)) == entry.files["weights.safetensors"]


def test_a_locked_database(study, short):
    database = sqlite3.connect(
        study.home / "mlflow.db", isolation_level=None, check_same_thread=False
    )
    with closing(database):
        database.execute("BEGIN EXCLUSIVE")
        release = threading.Timer(LOCKED, database.rollback)
        release.start()
        said = study.run(*SHORT).stderr_text
        release.join()
    assert_undisturbed(study, short[0], 0, said)
    assert_all_logged_later(study, short[1], sync)


def test_a_damaged_database(study, short):
    database = study.home / "mlflow.db"
    database.write_bytes(os.urandom(40_000))
    said = study.run(*SHORT).stderr_text
    assert_undisturbed(study, short[0], 0, said)
    assert f"{database}: file is not a database; move it away" in said
    assert "study sync" in said
    refused = study.run("sync", code=1).stderr_text
    assert f"{database}: file is not a database; move it away" in refused
    database.rename(study.home / "damaged.db")
    assert_all_logged_later(study, short[1], sync)


TROUBLES = {
    "closed": lambda proxy: proxy.close(),
    "error": lambda proxy: setattr(proxy, "status", 500),
    "too many requests": lambda proxy: setattr(proxy, "status", 429),
    "slow": lambda proxy: setattr(proxy, "delay", 3),
    "very slow": lambda proxy: setattr(proxy, "delay", 30),
}


@pytest.mark.parametrize(
    ("trouble", "later"),
    [
        ("closed", sync),
        ("error", next_run),
        ("too many requests", sync),
        ("slow", next_run),
        ("very slow", sync),
    ],
)
def test_a_server_in_trouble(trouble, later, proxy, run_through, study, short):
    said = run_through(lambda: TROUBLES[trouble](proxy), short[0], *SHORT)
    assert "not in MLflow yet" in said
    proxy.close()
    proxy.status, proxy.delay = None, 0
    proxy.open()
    assert_all_logged_later(study, short[1], later)


def test_a_server_that_is_down(tracking_server, study, short):
    tracking_server.stop()
    said = study.run(*SHORT).stderr_text
    assert_undisturbed(study, short[0], 0, said)
    assert f"{tracking_server.address.removeprefix('http://')} does not answer" in said
    tracking_server.start()
    assert_all_logged_later(study, short[1], next_run)


def test_a_server_killed_in_the_middle(study, run_through, expected, reference, tmp_path):
    with (
        postgresql("mlflow") as address,
        TrackingServer(tmp_path / "mlflow", f"postgresql://{address}/mlflow") as server,
    ):
        study.variables["MLFLOW_TRACKING_URI"] = server.address
        back = threading.Timer(OUTAGE, server.start)

        def kill():
            server.stop()
            back.start()

        run_through(kill, expected, "run", "smoke")
        back.join()
        assert_all_logged_later(study, reference, sync)
