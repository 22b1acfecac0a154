"""What several rooms' tests share: prepared datasets, and an MLflow database that is made once."""

import shutil
import sqlite3
from contextlib import closing

import pytest
from safetensors.torch import load_file

from tasks.artifacts.dataset import DATASET_FILE
from tasks.datasets.contents import source_fingerprint
from tasks.steps.data import prepare_dataset
from tasks.tracking.client import connect


def prepared(folder, config):
    """Prepare a dataset in a new folder: the result, and the tensors in the folder."""
    folder.mkdir()
    result = prepare_dataset(folder, config, source_fingerprint(config))
    return result, load_file(folder / DATASET_FILE)


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
