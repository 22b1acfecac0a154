"""The client of MLflow's tracking store, and searches and deletions that several modules use."""

import os
import re
import shlex
import sqlite3
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.store.db import utils as database_utils
from mlflow.store.entities import PagedList
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from models.messages import shown
from tasks.system.addresses import without_credentials
from tasks.system.databases import SIDE_FILES, copy_database, known_revisions, set_aside
from tasks.system.disk_errors import disk_reason
from tasks.system.folders import study_home
from tasks.system.invocation_names import to_the_second
from tasks.system.locks import mlflow_lock
from tasks.tracking.config import (
    SQLITE,
    KnownAddresses,
    artifact_root,
    resolved_path,
    tracking_uri,
)
from tasks.tracking.logged_models import delete_models
from tasks.tracking.moved_home import follow_moved_home

# Tags of runs. STUDY_TAG is the study's name, KEY_TAG the key of the store entry that a run shows.
KIND_TAG, KEY_TAG, STUDY_TAG, TASK_TAG = "study.kind", "study.key", "study.name", "study.task"
INVOCATION_TAG, COMMIT_TAG = "study.invocation", "study.commit"
ENTRY_TAG = "study.entry"  # followed by a point and a step's name; the fingerprint of the entry
# The id of the parent run. MLflow's own nesting does not fit: a model belongs to many invocations,
# and its table hides nested runs.
PARENT_TAG = "study.trained_by"
DESCRIPTION_TAG = "mlflow.note.content"

Item = TypeVar("Item")

# MLflow would try for two minutes to open a database; the tracker tries again instead.
database_utils.MAX_RETRY_COUNT = 1
PROGRAMMING_ERRORS = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    AssertionError,
    OverflowError,
)
OTHER_VERSION = re.compile(  # MLflow's, and Alembic's if a table is missing, too
    r"database schema \(found version (\w+),|Can't locate revision identified by '(\w+)'"
)
DISK_CODES = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
}
REFUSAL_CODES = {"INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_DOES_NOT_EXIST"}


class TrackingError(ConnectionError):
    """MLflow did not do what was requested; the message is one line.

    Trying again may help, except if MLflow ``refused`` it, or if the database is ``damaged``, of
    another version of MLflow, names files at an address that is not known, or cannot be written:
    ``disk`` says why then, as a DiskError.
    """

    refused = False
    damaged = False
    disk = ""


@contextmanager
def tracking_errors(failure: str = "did not take what was logged") -> Iterator[None]:
    """Turn every error of MLflow, its database or its artifact storage into a TrackingError.

    The message is ``MLflow <failure>: <reason>``. Programming errors are raised as they are.
    """
    try:
        yield
    except TrackingError:
        raise
    except Exception as error:  # artifact storage raises errors of many libraries
        if isinstance(error, PROGRAMMING_ERRORS) and not isinstance(error, OSError):
            raise
        cause = _database_error(error) or error
        disk = disk_reason(error, *_suspects(cause))
        raised = TrackingError(f"MLflow {failure}: {disk or _reason(cause)}")
        raised.disk = disk
        raised.refused = getattr(error, "error_code", None) in REFUSAL_CODES
        is_other = OTHER_VERSION.search(str(cause)) is not None
        raised.damaged = bool(disk) or _is_damage(cause) or is_other
        raise raised from error


def _database_error(error: Exception) -> BaseException | None:
    """The error of the database driver that led to an error, if there is one."""
    causes = [error]
    while isinstance(causes[-1].__context__, Exception):
        causes.append(causes[-1].__context__)
    return next((one.orig for one in causes if isinstance(one, DBAPIError) and one.orig), None)


def _suspects(cause: BaseException) -> list[Path]:
    """The folder of a local database if its error may be that of a full or read-only disk."""
    if getattr(cause, "sqlite_errorcode", 0) & 0xFF not in DISK_CODES:  # the rest says more
        return []
    return [Path(make_url(tracking_uri()).database or "").absolute().parent]


def _is_damage(cause: BaseException) -> bool:
    return type(cause) is sqlite3.DatabaseError  # not its subclasses: those are other errors


def _reason(cause: BaseException) -> str:
    """The reason of an error in one line, with the server or the file that it comes from."""
    uri = tracking_uri()
    text = str(cause).strip() or type(cause).__name__
    if isinstance(cause, OSError) and cause.filename and cause.strerror:
        text = f"{cause.filename}: {cause.strerror}"
    said = without_credentials(text.partition("\n")[0])
    if found := OTHER_VERSION.search(text):
        return _other_version(uri, found[1] or found[2])
    if isinstance(cause, sqlite3.Error):
        advice = "; move it away, and a new one is made" if _is_damage(cause) else ""
        return f"{make_url(uri).database}: {said}{advice}"
    server = urlsplit(uri)
    if found := re.search(r"error code (\d+) != ", said):
        return f"{server.hostname}:{server.port} answers with error {found[1]}"
    if "Max retries exceeded" in said:
        return f"{server.hostname}:{server.port} does not answer"
    return said


def _other_version(uri: str, revision: str) -> str:
    """That the database is of another version of MLflow, and what to do."""
    address = without_credentials(uri)
    move = (
        "move the database away with its -wal and -shm files: the next run makes a new one and "
        "logs everything again"
    )
    scripts = Path(str(files("mlflow.store.db_migrations"))) / "versions"
    if revision in known_revisions(scripts):
        upgrade = f"mlflow db upgrade {shlex.quote(address)}"
        return f"{address} is of an older MLflow; copy it, then run: {upgrade} (or {move})"
    newer = f"of a newer MLflow than {mlflow.__version__}, or of an unknown one"
    return f"{address} is {newer}; install that MLflow, or {move}"


def known_addresses(client: MlflowClient) -> KnownAddresses:
    """Where artifacts may be: STUDY_HOME, the artifact root, the tracking server.

    Folders of experiments too if their database is a file: nobody else writes to it.
    """
    root = artifact_root() or ""
    addresses = [study_home().as_uri(), root]
    if tracking_uri().startswith(SQLITE):
        addresses += [one.artifact_location for one in _all_pages(client.search_experiments)]
    paths = [resolved_path(address) for address in addresses if address]
    return KnownAddresses([path for path in paths if path], root, tracking_uri())


def check_address(addresses: KnownAddresses, what: str, address: str | None) -> None:
    """Raise TrackingError unless the artifacts of ``what`` may be read and written there."""
    if addresses.include(address or "", any_bucket=True):
        return
    error = TrackingError(
        f"{what} has its files at {shown(without_credentials(address or ''))}, which is neither in "
        "STUDY_HOME nor on the tracking server; if you trust that place, name it as artifact_root "
        "in mlflow.yaml"
    )
    error.damaged = True  # to wait does not help
    raise error


def connect() -> MlflowClient:
    """A client of the tracking store; a local database is created once, in WAL mode."""
    home, uri = study_home(), tracking_uri()
    home.mkdir(parents=True, exist_ok=True)
    if uri.startswith(SQLITE):
        _create_database(uri)
    client = MlflowClient(uri)
    if uri.startswith(SQLITE):
        path = Path(make_url(uri).database or "")
        with mlflow_lock():
            client.search_experiments(max_results=1)
            with closing(sqlite3.connect(path)) as database:
                database.execute("PRAGMA journal_mode=WAL")
                if path.parent.resolve() == home.resolve():
                    follow_moved_home(database)
    return client


@contextmanager
def client_to_read() -> Iterator[MlflowClient]:
    """A client that only reads. If STUDY_HOME cannot be written, it reads a copy of the database.

    SQLite and MLflow write to a database to read it.
    """
    uri = tracking_uri()
    path = Path(make_url(uri).database or "") if uri.startswith(SQLITE) else None
    places = [study_home()] if path is None else [study_home(), path.parent, path]
    if path is None or not path.exists() or all(os.access(one, os.W_OK) for one in places):
        yield connect()
        return
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the copy follows a moved STUDY_HOME, nothing else does
        copy = Path(folder) / path.name
        copy_database(path, copy)
        if path.parent.resolve() == study_home().resolve():
            with closing(sqlite3.connect(copy)) as database:
                follow_moved_home(database)
        yield MlflowClient(f"{SQLITE}{copy}")


def _create_database(uri: str) -> None:
    """Create a missing local database, completely or not at all.

    MLflow takes seconds to create one, and cannot open one whose creation was killed.
    """
    url = make_url(uri)
    path = Path(url.database or "")
    unfinished = path.with_name(f"{path.name}.new")
    with mlflow_lock():
        if path.exists():
            return
        set_aside(path)  # side files of a database that was moved away would damage the new one
        for suffix in ("", *SIDE_FILES):
            unfinished.with_name(unfinished.name + suffix).unlink(missing_ok=True)
        MlflowClient(str(url.set(database=str(unfinished))))
        unfinished.replace(path)


def search_everywhere(client: MlflowClient, condition: str) -> list[Run]:
    """Runs of all experiments that meet an MLflow search condition, newest first."""
    experiments = [one.experiment_id for one in _all_pages(client.search_experiments)]
    search = partial(client.search_runs, experiments, condition, order_by=["start_time DESC"])
    return list(_all_pages(search))


def _all_pages(search: Callable[..., PagedList[Item]]) -> Iterator[Item]:
    """The results of a search, from all of its pages."""
    page = search()
    yield from page
    while page.token:
        page = search(page_token=page.token)
        yield from page


def find_run(client: MlflowClient, wanted: str) -> Run:
    """The newest run with this name, task name, id or start of an id (at least 6 characters).

    The run of a study is also found by its name in ``study status``, with or without its study.

    Raises LookupError if there is none.
    """
    for run in search_everywhere(client, ""):
        short = to_the_second(run.data.tags.get(INVOCATION_TAG, ""))
        names = {run.info.run_name, run.data.tags.get(TASK_TAG)}
        if short:
            names |= {short, f"{run.data.tags.get(STUDY_TAG)} {short}"}
        if wanted in names or (len(wanted) >= 6 and run.info.run_id.startswith(wanted)):
            return run
    raise LookupError(f"no run has the id or the name {wanted!r}")


def runs_of_entries(client: MlflowClient) -> list[Run]:
    """Every run that shows a store entry."""
    return search_everywhere(client, f"tags.`{KEY_TAG}` LIKE '%'")


def keep_most_complete(client: MlflowClient, duplicates: list[Run]) -> Run | None:
    """The run with the most parameters and metrics; of the others the empty ones are deleted.

    A server that does not answer in time may create a run all the same, so that a second attempt
    creates a duplicate.
    """
    chosen = max(duplicates, key=_n_values, default=None)
    for run in duplicates:
        if run is not chosen and not _n_values(run):
            client.delete_run(run.info.run_id)
    return chosen


def _n_values(run: Run) -> int:
    return len(run.data.params) + len(run.data.metrics)


def delete_runs(client: MlflowClient, keys: set[str]) -> int:
    """Delete the runs that show the entries with these keys, and their logged models.

    Returns how many runs those were. They disappear at once; ``mlflow gc`` frees the space.
    """
    runs = [run for run in runs_of_entries(client) if run.data.tags[KEY_TAG] in keys]
    for run in runs:
        delete_models(client, run)
        client.delete_run(run.info.run_id)
    return len(runs)


def close_open_runs(client: MlflowClient, invocation: str) -> None:
    """Mark the open runs of an invocation that ended as KILLED: its parent run and its models'."""
    with tracking_errors():
        for parent in search_everywhere(client, f"tags.`{INVOCATION_TAG}` = '{invocation}'"):
            of_parent = f"tags.`{PARENT_TAG}` = '{parent.info.run_id}'"
            for run in [*search_everywhere(client, of_parent), parent]:
                if run.info.status == "RUNNING":
                    client.set_terminated(run.info.run_id, "KILLED")
