import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from botocore.exceptions import NoCredentialsError
from mlflow.entities import LoggedModelOutput
from mlflow.store.db.utils import _get_alembic_config
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase
from sqlalchemy import create_engine

from tasks.system.databases import schema_revision
from tasks.tracking.client import (
    INVOCATION_TAG,
    KEY_TAG,
    KIND_TAG,
    PARENT_TAG,
    TrackingError,
    check_address,
    close_open_runs,
    connect,
    delete_runs,
    known_addresses,
    search_everywhere,
    tracking_errors,
)

OLDER = "cbc13b556ace"  # the version of MLflow's tables in 2020


def test_a_database_whose_making_was_killed_is_made_again(home):
    making = subprocess.Popen(
        [sys.executable, "-c", "from tasks.tracking.client import connect; connect()"]
    )
    unfinished = home / "mlflow.db.new"
    while making.poll() is None and not (unfinished.exists() and unfinished.stat().st_size):
        time.sleep(0.01)
    making.kill()
    making.wait()
    assert not (home / "mlflow.db").exists()
    assert [experiment.name for experiment in connect().search_experiments()] == ["Default"]
    assert not unfinished.exists()


@pytest.mark.parametrize("error", [NoCredentialsError(), ModuleNotFoundError("boto3")])
def test_what_the_storage_of_artifacts_raises_can_be_tried_again(home, error):
    with pytest.raises(TrackingError, match=str(error)) as caught, tracking_errors():
        raise error
    assert not caught.value.refused


def test_a_mistake_of_the_program_is_no_trouble_of_mlflow(home):
    with pytest.raises(KeyError), tracking_errors():
        raise KeyError("wanted")


def test_an_address_with_options_names_the_same_database(home, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/runs.db?timeout=30")
    connect()
    assert {path.name for path in home.glob("runs*")} == {"runs.db"}


def test_runs_are_found_in_any_number_of_experiments(client, monkeypatch):
    run = client.create_run(client.create_experiment("oldest")).info.run_id
    client.create_experiment("newest")
    search = client.search_experiments
    monkeypatch.setattr(client, "search_experiments", lambda **page: search(max_results=1, **page))
    assert [found.info.run_id for found in search_everywhere(client, "")] == [run]


def test_runs_go_with_the_models_that_were_logged_to_them(client):
    experiment = client.create_experiment("gc")
    runs = {}
    for key in ("kept", "gone"):
        runs[key] = client.create_run(
            experiment, tags={KIND_TAG: "model", KEY_TAG: key}
        ).info.run_id
        model = client.create_logged_model(experiment, name=key, source_run_id=runs[key])
        client.log_outputs(runs[key], [LoggedModelOutput(model.model_id, step=0)])
    assert delete_runs(client, {"gone", "unknown"}) == 1
    assert client.get_run(runs["gone"]).info.lifecycle_stage == "deleted"
    assert client.get_run(runs["kept"]).info.lifecycle_stage == "active"
    assert [m.name for m in client.search_logged_models([experiment])] == ["kept"]


def test_only_what_a_dead_invocation_was_filling_is_closed(client):
    experiment = client.create_experiment("dead")
    dead, alive = (
        client.create_run(experiment, tags={INVOCATION_TAG: name}).info.run_id
        for name in ("dead", "alive")
    )
    statuses = {}
    for parent, status in ((dead, "RUNNING"), (dead, "FINISHED"), (alive, "RUNNING")):
        run = client.create_run(
            experiment, tags={KIND_TAG: "model", PARENT_TAG: parent}
        ).info.run_id
        client.update_run(run, status=status)
        statuses[parent, status] = run
    close_open_runs(client, "dead")
    close_open_runs(client, "logged elsewhere")
    found = {key: client.get_run(run).info.status for key, run in statuses.items()}
    assert found == {
        (dead, "RUNNING"): "KILLED",
        (dead, "FINISHED"): "FINISHED",
        (alive, "RUNNING"): "RUNNING",
    }
    assert client.get_run(dead).info.status == "KILLED"
    assert client.get_run(alive).info.status == "RUNNING"


def test_an_error_of_the_database_names_its_file(home):
    home.mkdir()
    database = home / "mlflow.db"
    database.write_text("this is no database")
    with (
        pytest.raises(TrackingError, match=f"{database}: file is not .*; move it away"),
        tracking_errors(),
    ):
        connect()


def set_version(database, revision):
    with closing(sqlite3.connect(database)) as opened:
        opened.execute("UPDATE alembic_version SET version_num = ?", [revision])
        opened.commit()


def experiments_of_a_new_process():
    """This process keeps connections to the files that it has opened."""
    code = "from tasks.tracking.client import connect; "
    code += "print([one.name for one in connect().search_experiments()])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr


def refusal():
    """The error of a database that cannot be opened."""
    with pytest.raises(TrackingError) as raised, tracking_errors():
        connect()
    assert raised.value.damaged  # waiting for it is of no use
    assert "\n" not in str(raised.value)
    return str(raised.value)


def make_older(database):
    """Make a database with the tables of this version."""
    address = f"sqlite:///{database}"
    InitialBase.metadata.create_all(create_engine(address))
    command.upgrade(_get_alembic_config(address), OLDER)


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["results", "with space 100%"])
def test_the_advice_for_a_database_of_an_older_mlflow_works(
    tmp_path, monkeypatch, folder, new_database
):
    database = tmp_path / folder / "mlflow.db"
    monkeypatch.setenv("STUDY_HOME", str(database.parent))
    database.parent.mkdir()
    shutil.copy(new_database, database)
    set_version(database, OLDER)
    advice = re.search(r"is of an older MLflow; copy it, then run: (.*) \(or move the", refusal())
    database.unlink()
    make_older(database)
    subprocess.run([sys.executable, "-m", *shlex.split(advice[1])], check=True, capture_output=True)
    assert schema_revision(database) == schema_revision(new_database)
    assert experiments_of_a_new_process() == "['Default']"


@pytest.mark.parametrize("statement", ["", "DROP TABLE jobs"])
def test_a_database_of_a_newer_mlflow_can_be_moved_away(new_database, home, statement):
    home.mkdir()
    shutil.copy(new_database, home / "mlflow.db")
    set_version(home / "mlflow.db", "0123456789ab")
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        database.execute(statement)  # a newer MLflow may have tables less
    assert re.search(
        "mlflow.db is of a newer MLflow than .*, or of an unknown one; install that MLflow, or "
        "move the database away with its -wal and -shm files: the next run makes a new one",
        refusal(),
    )
    for path in home.glob("mlflow.db*"):
        path.rename(path.with_name(f"old-{path.name}"))
    assert experiments_of_a_new_process() == "['Default']"


def test_side_files_of_a_database_that_was_moved_away_do_not_damage_the_new_one(home, tmp_path):
    home.mkdir()
    code = "import os; from tasks.tracking.client import connect; "
    code += "connect().create_experiment('made'); os._exit(1)"  # its -wal file stays
    subprocess.run([sys.executable, "-c", code], check=False)
    assert (home / "mlflow.db-wal").stat().st_size
    shutil.move(home / "mlflow.db", tmp_path)
    assert experiments_of_a_new_process() == "['Default']"
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert (home / "mlflow.db.aside-1-wal").stat().st_size


def test_a_file_that_no_path_can_be_is_at_no_known_address(client, home):
    (home / "circle").symlink_to(home / "circle")
    for name in ("a%00b", "circle/x"):
        assert not known_addresses(client).include(f"{home.as_uri()}/{name}")


def test_folders_of_experiments_count_only_in_a_database_file(client, tmp_path, monkeypatch):
    outside = tmp_path / "outside" / "file"
    client.create_experiment("made", outside.parent.as_uri())
    assert known_addresses(client).include(outside.as_uri())
    assert not known_addresses(client).include((tmp_path / "other").as_uri())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # of a team
    with pytest.raises(TrackingError, match=r"^it has its files at 'file:.*as artifact_root"):
        check_address(known_addresses(client), "it", outside.as_uri())
    check_address(known_addresses(client), "it", "mlflow-artifacts:/1/2")
    check_address(known_addresses(client), "it", "s3://bucket/1")
    monkeypatch.chdir(tmp_path)
    Path("mlflow.yaml").write_text(f"artifact_root: {outside.parent.as_uri()}\n")
    check_address(known_addresses(client), "it", outside.as_uri())


def raise_in_tracking(error):
    with tracking_errors():
        raise error


@pytest.mark.parametrize(
    ("code", "is_of_disk"),
    [(sqlite3.SQLITE_FULL, True), (sqlite3.SQLITE_READONLY, True), (sqlite3.SQLITE_BUSY, False)],
)
def test_a_database_on_a_full_disk_is_an_error_of_the_disk(home, monkeypatch, code, is_of_disk):
    full = f"{home}: its disk is full; free space there"
    monkeypatch.setattr(
        "tasks.system.disk_errors.why_unwritable", lambda folder: full if folder == home else ""
    )
    error = sqlite3.OperationalError("an error of SQLite")
    error.sqlite_errorcode = code
    with pytest.raises(TrackingError) as raised:
        raise_in_tracking(error)
    assert raised.value.disk == (full if is_of_disk else "")
    assert raised.value.damaged == is_of_disk
    assert (full in str(raised.value)) == is_of_disk
