"""The database of Prefect servers in STUDY_HOME: replaced if this Prefect cannot open it."""

import os
import warnings
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock

from tasks.system.databases import known_revisions, schema_revision, set_aside
from tasks.system.folders import study_home

START_LOCK = "start.lock"  # in PREFECT_HOME; a server holds it while it creates the database
SCRIPTS = "server/database/_migrations/versions/sqlite"
OTHER_DATABASE = ("DATABASE_CONNECTION_URL", "DATABASE_DRIVER", "DATABASE_NAME")


def start_lock() -> FileLock:
    """The lock that a server holds until it has created its database, or upgraded it."""
    home = Path(os.environ.get("PREFECT_HOME", study_home() / "prefect"))
    home.mkdir(parents=True, exist_ok=True)
    return FileLock(home / START_LOCK, thread_local=False)


def replace_unknown_database() -> None:
    """Set a database aside that a newer Prefect has made; the next server makes a new one.

    A warning names the file. It holds the history on Prefect's page, no results. A database that is
    not in STUDY_HOME stays: other programs may use it.
    """
    home = study_home() / "prefect"
    path = home / "prefect.db"
    is_other = any(name.endswith(OTHER_DATABASE) for name in os.environ if "PREFECT_" in name)
    if os.environ.get("PREFECT_HOME") != str(home) or is_other or not _is_unknown(path):
        return
    with start_lock():
        if _is_unknown(path):  # another process may have replaced it meanwhile
            warnings.warn(
                f"{path} is of another version of Prefect; it is {set_aside(path).name} now, and "
                "Prefect's page begins a new history",
                stacklevel=2,
            )


def _is_unknown(path: Path) -> bool:
    """Whether a database has tables of a version that this Prefect does not know."""
    revision = schema_revision(path)
    found = find_spec("prefect")
    if revision is None or found is None or not found.submodule_search_locations:
        return False
    return revision not in known_revisions(Path(found.submodule_search_locations[0]) / SCRIPTS)
