import sqlite3
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from tasks.system.databases import known_revisions, rewrite_texts, schema_revision, set_aside


def make(path, revision):
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("INSERT INTO alembic_version VALUES (?)", [revision])
        database.commit()


def test_the_version_of_a_database(tmp_path):
    make(tmp_path / "made.db", "abc")
    assert schema_revision(tmp_path / "made.db") == "abc"


@pytest.mark.parametrize("content", [None, b"", b"no database" * 100])
def test_what_is_no_database_has_no_version(tmp_path, content):
    path = tmp_path / "made.db"
    if content is not None:
        path.write_bytes(content)
    assert schema_revision(path) is None
    assert path.exists() == (content is not None)


@pytest.mark.parametrize(
    ("package", "folder"),
    [
        ("mlflow", "store/db_migrations/versions"),
        ("prefect", "server/database/_migrations/versions/sqlite"),
    ],
)
def test_every_version_that_a_library_knows_is_found_in_its_scripts(package, folder):
    scripts = Path(find_spec(package).submodule_search_locations[0], folder)
    config = Config()
    config.set_main_option("path_separator", "os")
    config.set_main_option("script_location", str(scripts.parent))
    config.set_main_option("version_locations", str(scripts))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    assert len(known) > 50
    assert known_revisions(scripts) == known


def test_a_database_is_set_aside_with_what_is_not_yet_in_its_file(tmp_path):
    path = tmp_path / "made.db"
    for number in (1, 2):
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("CREATE TABLE made (number)")
            database.execute("INSERT INTO made VALUES (?)", [number])
            database.commit()
            assert path.with_name("made.db-wal").stat().st_size  # it is not in the file yet
            aside = set_aside(path)
        assert aside == tmp_path / f"made.db.aside-{number}"
        assert not list(tmp_path.glob("made.db")) + list(tmp_path.glob("made.db-*"))
    for number in (1, 2):
        with closing(sqlite3.connect(tmp_path / f"made.db.aside-{number}")) as database:
            assert database.execute("SELECT number FROM made").fetchall() == [(number,)]


def test_texts_of_all_tables_are_rewritten_and_nothing_else(tmp_path):
    with closing(sqlite3.connect(tmp_path / "made.db")) as database:
        database.execute('CREATE TABLE "odd name" (number INTEGER, "a text" TEXT, data BLOB)')
        database.execute("CREATE TABLE other (value PRIMARY KEY)")
        database.execute('INSERT INTO "odd name" VALUES (7, ?, ?)', ["old old", b"old"])
        database.executemany("INSERT INTO other VALUES (?)", [("an old one",), ("new",), (None,)])
        rewrite_texts(database, "old", lambda text: text.replace("old", "young"))
        database.commit()
        assert database.execute('SELECT * FROM "odd name"').fetchall() == [
            (7, "young young", b"old")
        ]
        assert database.execute("SELECT value FROM other").fetchall() == [
            ("an young one",),
            ("new",),
            (None,),
        ]
