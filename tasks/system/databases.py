"""SQLite databases that MLflow and Prefect fill: their version, setting one aside, their texts."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing, nullcontext, suppress
from itertools import count
from pathlib import Path

SIDE_FILES = ("-journal", "-wal", "-shm")  # SQLite's, beside a database
REVISION = re.compile(r"^revision\b.*?=\s*[\"'](\w+)[\"']", re.MULTILINE)


def schema_revision(path: Path) -> str | None:
    """The version of its tables that Alembic has written into a database.

    None if there is none, or if the file cannot be read as a database now.
    """
    if not path.is_file():
        return None
    try:
        with closing(sqlite3.connect(path)) as database:
            found = database.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:
        return None
    return str(found[0]) if found else None


def known_revisions(scripts: Path) -> set[str]:
    """The versions that the migration scripts in a folder know.

    The scripts are read as text: to import them takes a second for Prefect's.
    """
    return {
        found[1]
        for script in scripts.glob("*.py")
        if (found := REVISION.search(script.read_text(encoding="utf-8")))
    }


def copy_database(path: Path, target: Path) -> None:
    """Copy a database that cannot be written, as another process has left it or writes it.

    Raises sqlite3.Error.
    """
    # without side files SQLite opens one in WAL mode only if it is told that nobody writes it
    for mode in ("mode=ro", "mode=ro&immutable=1"):
        address = f"{path.absolute().as_uri()}?{mode}"
        with (
            suppress(sqlite3.OperationalError) if mode == "mode=ro" else nullcontext(),
            closing(sqlite3.connect(address, uri=True)) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
            return


def set_aside(path: Path) -> Path:
    """Rename a database that no process is to use again. Returns its new path."""
    free = (path.with_name(f"{path.name}.aside-{number}") for number in count(1))
    target = next(one for one in free if not one.exists())
    for suffix in (*SIDE_FILES, ""):  # the database last: a new one must not find old side files
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(target.with_name(target.name + suffix))
    return target


def rewrite_texts(database: sqlite3.Connection, part: str, rewritten: Callable[[str], str]) -> None:
    """Replace every text that contains ``part``, in all tables, by what ``rewritten`` makes of it.

    The caller commits. Raises sqlite3.Error.
    """
    database.create_function("rewritten", 1, rewritten)
    tables = database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    for (table,) in tables:
        for _, column, *_ in database.execute(f'PRAGMA table_info("{table}")').fetchall():
            database.execute(
                f'UPDATE "{table}" SET "{column}" = rewritten("{column}") '
                f'WHERE typeof("{column}") = \'text\' AND instr("{column}", ?) > 0',
                [part],
            )
