"""The client of MLflow's tracking store, and what is asked of it from everywhere."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from mlflow.entities import Run
from mlflow.store.db import utils as database_utils
from mlflow.store.entities import PagedList
from mlflow.tracking import MlflowClient
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from tasks.system.addresses import without_credentials
from tasks.system.folders import study_home
from tasks.system.locks import mlflow_lock
from tasks.tracking.config import tracking_uri
from tasks.tracking.logged_models import delete_models

KIND, KEY, STUDY, ENTRY = "study.kind", "study.key", "study.name", "study.entry"
INVOCATION = "study.invocation"
# Not MLflow's own nesting: a model serves many invocations, and nested runs hide in the table.
TRAINED_BY, COMMIT, NOTE = "study.trained_by", "study.commit", "mlflow.note.content"
TASK = "study.task"

SQLITE = "sqlite:///"
Found = TypeVar("Found")

# What cannot be opened is tried again by the tracker; MLflow itself would try for two minutes.
database_utils.MAX_RETRY_COUNT = 1
MISTAKES = (LookupError, TypeError, ValueError, AttributeError, AssertionError)
REFUSALS = {"INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_DOES_NOT_EXIST"}


class TrackingError(ConnectionError):
    """MLflow did not take what was logged.

    Trying again may help, unless it is ``refused``, or the database is ``damaged``.
    """

    refused = False
    damaged = False


@contextmanager
def tracking(trouble: str = "did not take what was logged") -> Iterator[None]:
    """What MLflow and its database raise, as one error with one line."""
    try:
        yield
    except TrackingError:
        raise
    except Exception as error:  # storage of artifacts raises what it likes
        if isinstance(error, MISTAKES) and not isinstance(error, OSError):
            raise
        cause = _cause(error)
        raised = TrackingError(f"MLflow {trouble}: {_reason(cause)}")
        raised.refused = getattr(error, "error_code", None) in REFUSALS
        raised.damaged = _is_damage(cause)
        raise raised from error


def _cause(error: Exception) -> BaseException:
    """What a database said, if it was one; else the error itself."""
    causes = [error]
    while isinstance(causes[-1].__context__, Exception):
        causes.append(causes[-1].__context__)
    return next((one.orig for one in causes if isinstance(one, DBAPIError) and one.orig), error)


def _is_damage(cause: BaseException) -> bool:
    return type(cause) is sqlite3.DatabaseError  # its subclasses are about other things


def _reason(cause: BaseException) -> str:
    """Why MLflow took nothing in one line, with the server or the file that it is about."""
    uri = tracking_uri()
    text = str(cause).strip() or type(cause).__name__
    said = without_credentials(text.partition("\n")[0])
    if isinstance(cause, sqlite3.Error):
        advice = "; move it away, and a new one is made" if _is_damage(cause) else ""
        return f"{make_url(uri).database}: {said}{advice}"
    server = urlsplit(uri)
    if found := re.search(r"error code (\d+) != ", said):
        return f"{server.hostname}:{server.port} answers with error {found[1]}"
    if "Max retries exceeded" in said:
        return f"{server.hostname}:{server.port} does not answer"
    return said


def connect() -> MlflowClient:
    """A client of the tracking store; a local database is created once, in WAL mode."""
    home, uri = study_home(), tracking_uri()
    home.mkdir(parents=True, exist_ok=True)
    if uri.startswith(SQLITE):
        _create_database(uri)
    client = MlflowClient(uri)
    if uri.startswith(SQLITE):
        with mlflow_lock():
            client.search_experiments(max_results=1)
            with closing(sqlite3.connect(make_url(uri).database or "")) as database:
                database.execute("PRAGMA journal_mode=WAL")
    return client


def _create_database(uri: str) -> None:
    """Make a local database that is missing, whole or not at all.

    MLflow takes seconds to make one, and cannot open what was killed in between.
    """
    url = make_url(uri)
    path = Path(url.database or "")
    unfinished = path.with_name(f"{path.name}.new")
    with mlflow_lock():
        if path.exists():
            return
        for suffix in ("", "-journal", "-wal", "-shm"):
            unfinished.with_name(unfinished.name + suffix).unlink(missing_ok=True)
        MlflowClient(str(url.set(database=str(unfinished))))
        unfinished.replace(path)


def search_everywhere(client: MlflowClient, condition: str) -> list[Run]:
    """Runs of all experiments that meet an MLflow search condition, newest first."""
    experiments = [one.experiment_id for one in _all(client.search_experiments)]
    search = partial(client.search_runs, experiments, condition, order_by=["start_time DESC"])
    return list(_all(search))


def _all(search: Callable[..., PagedList[Found]]) -> Iterator[Found]:
    """What a search finds on all of its pages."""
    page = search()
    yield from page
    while page.token:
        page = search(page_token=page.token)
        yield from page


def find_run(client: MlflowClient, wanted: str) -> Run:
    """A run by its id, the start of it, or its name, the newest of that name.

    Raises LookupError if there is none.
    """
    for run in search_everywhere(client, ""):
        names = {run.info.run_name, run.data.tags.get(TASK)}
        if wanted in names or (len(wanted) >= 6 and run.info.run_id.startswith(wanted)):
            return run
    raise LookupError(f"no run has the id or the name {wanted!r}")


def keyed_runs(client: MlflowClient) -> list[Run]:
    """Every run that shows a store entry."""
    return search_everywhere(client, f"tags.`{KEY}` LIKE '%'")


def fullest(client: MlflowClient, runs: list[Run]) -> Run | None:
    """Of runs that are to show the same, the one that shows most; empty others are deleted.

    A server that did not answer in time may have created a run all the same.
    """
    chosen = max(runs, key=_size, default=None)
    for run in runs:
        if run is not chosen and not _size(run):
            client.delete_run(run.info.run_id)
    return chosen


def _size(run: Run) -> int:
    return len(run.data.params) + len(run.data.metrics)


def delete_runs(client: MlflowClient, keys: set[str]) -> int:
    """Delete the runs that show these store entries, and the models logged to them; how many.

    They are out of sight at once; ``mlflow gc`` frees the space.
    """
    runs = [run for run in keyed_runs(client) if run.data.tags[KEY] in keys]
    for run in runs:
        delete_models(client, run)
        client.delete_run(run.info.run_id)
    return len(runs)


def close_open_runs(client: MlflowClient, invocation: str) -> None:
    """Mark the parent run of an invocation that ended, and the runs it was filling, as KILLED."""
    with tracking():
        for parent in search_everywhere(client, f"tags.`{INVOCATION}` = '{invocation}'"):
            of_parent = f"tags.`{TRAINED_BY}` = '{parent.info.run_id}'"
            for run in [*search_everywhere(client, of_parent), parent]:
                if run.info.status == "RUNNING":
                    client.set_terminated(run.info.run_id, "KILLED")
