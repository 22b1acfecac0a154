"""A database of another version of MLflow or Prefect costs no result."""

import sqlite3
from contextlib import closing

from tasks.system.databases import schema_revision
from tests.faults.conftest import SHORT, executed

UNKNOWN = "0123456789ab"


def set_revision(path):
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE IF NOT EXISTS alembic_version (version_num TEXT)")
        database.execute("DELETE FROM alembic_version")
        database.execute("INSERT INTO alembic_version VALUES (?)", [UNKNOWN])
        database.commit()


def keys(study):
    return sorted(run.data.tags["study.key"] for run in study.runs())


def test_a_database_of_a_newer_mlflow(finished, tmp_path):
    before, results = keys(finished), finished.fingerprints()
    database = finished.home / "mlflow.db"
    set_revision(database)
    said = finished.run("run", "smoke")
    (warning,) = said.stderr_text.splitlines()
    assert "is of a newer MLflow than" in warning
    assert "move the database away" in warning
    assert executed(said) == []
    assert finished.fingerprints() == results
    refused = finished.run("register", "smoke", code=1)
    assert "is of a newer MLflow than" in refused.stderr_text

    for path in finished.home.glob("mlflow.db*"):
        path.rename(tmp_path / path.name)
    for _ in range(5):  # on a busy machine one run does not wait for all of it
        said = finished.run("run", "smoke")
        assert executed(said) == []
        if not said.stderr_text:
            break
    # a new process: this one keeps the database open that was moved away
    assert "best" in finished.run("register", "smoke").stdout_text
    with closing(sqlite3.connect(database)) as opened:
        found = opened.execute("SELECT value FROM tags WHERE key = 'study.key'").fetchall()
    assert sorted(key for (key,) in found) == before


def test_a_database_of_a_newer_prefect(alone):
    database = alone.home / "prefect" / "prefect.db"
    database.parent.mkdir()
    set_revision(database)
    said = alone.run(*SHORT)
    (warning,) = said.stderr_text.splitlines()
    assert warning.startswith(f"warning: {database} is of another version of Prefect")
    assert schema_revision(database.with_name("prefect.db.aside-1")) == UNKNOWN
    assert alone.run(*SHORT).stderr_text == ""
