import subprocess
import sys
import time

import pytest
from botocore.exceptions import NoCredentialsError

from tasks.tracking.client import TrackingError, connect, search_everywhere, tracking


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
    with pytest.raises(TrackingError, match=str(error)) as caught, tracking():
        raise error
    assert not caught.value.refused


def test_a_mistake_of_the_program_is_no_trouble_of_mlflow(home):
    with pytest.raises(KeyError), tracking():
        raise KeyError("wanted")


def test_an_address_with_options_names_the_same_database(home, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/runs.db?timeout=30")
    connect()
    assert {path.name for path in home.glob("runs*")} == {"runs.db"}


def test_runs_are_found_in_any_number_of_experiments(home, monkeypatch):
    client = connect()
    run = client.create_run(client.create_experiment("oldest")).info.run_id
    client.create_experiment("newest")
    search = client.search_experiments
    monkeypatch.setattr(client, "search_experiments", lambda **page: search(max_results=1, **page))
    assert [found.info.run_id for found in search_everywhere(client, "")] == [run]
