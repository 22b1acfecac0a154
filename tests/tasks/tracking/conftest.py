"""What tests of MLflow share: an entry with its plan, and a database that is made once."""

import shutil
import sqlite3
from contextlib import closing

import pytest

from tasks.cache.entry import Entry
from tasks.tracking.client import KIND_TAG, connect, search_everywhere
from tasks.tracking.run_plan import RunPlan

HISTORY = [{"epoch": n, "train_loss": 0.1, "test_loss": 0.2, "learning_rate": 0.01} for n in (1, 2)]
PLAN = RunPlan("model", "key", "train[x]", {"depth": 2, "latent_dim": 3}, None)
ENTRY = Entry(
    task="train",
    key="key",
    name="train[x]",
    seconds=1,
    result={
        "history": HISTORY,
        "metrics": {"final_test_loss": 0.2},
        "parameters": {"n_parameters": 9},
    },
    provenance={"commit": "c"},
    inputs={},
    code={},
    files={},
)


def only_run(client, kind="model"):
    (run,) = search_everywhere(client, f"tags.`{KIND_TAG}` = '{kind}'")
    return run


@pytest.fixture(scope="session")
def new_database(tmp_path_factory):
    """A database without runs."""
    home = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STUDY_HOME", str(home))
        connect()
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # all of it into the one file
    return home / "mlflow.db"


@pytest.fixture
def client(home, new_database):
    """A client of a new database in STUDY_HOME."""
    home.mkdir(parents=True)
    shutil.copy(new_database, home / "mlflow.db")
    return connect()
