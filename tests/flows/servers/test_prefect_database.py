import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from flows.servers.embedded_prefect import EmbeddedPrefect
from flows.servers.prefect_database import replace_unknown_database
from tasks.system.databases import schema_revision

UNKNOWN = "0123456789ab"


@pytest.fixture
def database(home, monkeypatch):
    """The path of Prefect's database in STUDY_HOME, which has tables of an unknown version."""
    path = home / "prefect" / "prefect.db"
    path.parent.mkdir(parents=True)
    monkeypatch.setenv("PREFECT_HOME", str(path.parent))
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE alembic_version (version_num TEXT)")
        made.execute("INSERT INTO alembic_version VALUES (?)", [UNKNOWN])
        made.commit()
    return path


@pytest.mark.slow
def test_a_server_starts_although_a_newer_prefect_made_the_database(database):
    with pytest.warns(UserWarning, match=f"{database} is of another version") as said:
        server = EmbeddedPrefect()
    assert len(said) == 1
    server.wait()
    server.stop()
    assert schema_revision(database.with_name("prefect.db.aside-1")) == UNKNOWN
    known = schema_revision(database)
    assert known not in (None, UNKNOWN)
    replace_unknown_database()  # a warning would be an error
    assert schema_revision(database) == known


def test_processes_that_start_at_once_set_one_database_aside(database):
    code = "from flows.servers.prefect_database import replace_unknown_database as replace; "
    code += "import sys; sys.stdin.readline(); replace()"
    arguments = [sys.executable, "-c", code]
    started = [
        subprocess.Popen(arguments, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    said = [process.communicate("go\n")[1] for process in started]
    assert [process.returncode for process in started] == [0] * 4
    assert sorted("is of another version" in one for one in said) == [False] * 3 + [True]
    assert [path.name for path in database.parent.glob("prefect.db*")] == ["prefect.db.aside-1"]


def test_a_damaged_database_and_none_stay(database):
    database.write_bytes(b"no database" * 100)
    replace_unknown_database()
    assert database.exists()
    database.unlink()
    replace_unknown_database()
    assert not list(database.parent.glob("prefect.db*"))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PREFECT_HOME", "elsewhere"),
        ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "sqlite+aiosqlite:////other.db"),
    ],
)
def test_a_database_of_other_programs_stays(database, variable, value, monkeypatch):
    monkeypatch.setenv(variable, value)
    replace_unknown_database()
    assert schema_revision(database) == UNKNOWN
