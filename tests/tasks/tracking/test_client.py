import subprocess
import sys
import time

import pytest
from botocore.exceptions import NoCredentialsError
from mlflow.entities import LoggedModelOutput

from tasks.tracking.client import (
    INVOCATION_TAG,
    KEY_TAG,
    KIND_TAG,
    PARENT_TAG,
    TrackingError,
    close_open_runs,
    connect,
    delete_runs,
    search_everywhere,
    tracking_errors,
)


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
    with pytest.raises(TrackingError, match=str(error)) as caught, tracking_errors():
        raise error
    assert not caught.value.refused


def test_a_mistake_of_the_program_is_no_trouble_of_mlflow(home):
    with pytest.raises(KeyError), tracking_errors():
        raise KeyError("wanted")


def test_an_address_with_options_names_the_same_database(home, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/runs.db?timeout=30")
    connect()
    assert {path.name for path in home.glob("runs*")} == {"runs.db"}


def test_runs_are_found_in_any_number_of_experiments(client, monkeypatch):
    run = client.create_run(client.create_experiment("oldest")).info.run_id
    client.create_experiment("newest")
    search = client.search_experiments
    monkeypatch.setattr(client, "search_experiments", lambda **page: search(max_results=1, **page))
    assert [found.info.run_id for found in search_everywhere(client, "")] == [run]


def test_runs_go_with_the_models_that_were_logged_to_them(client):
    experiment = client.create_experiment("gc")
    runs = {}
    for key in ("kept", "gone"):
        runs[key] = client.create_run(
            experiment, tags={KIND_TAG: "model", KEY_TAG: key}
        ).info.run_id
        model = client.create_logged_model(experiment, name=key, source_run_id=runs[key])
        client.log_outputs(runs[key], [LoggedModelOutput(model.model_id, step=0)])
    assert delete_runs(client, {"gone", "unknown"}) == 1
    assert client.get_run(runs["gone"]).info.lifecycle_stage == "deleted"
    assert client.get_run(runs["kept"]).info.lifecycle_stage == "active"
    assert [m.name for m in client.search_logged_models([experiment])] == ["kept"]


def test_only_what_a_dead_invocation_was_filling_is_closed(client):
    experiment = client.create_experiment("dead")
    dead, alive = (
        client.create_run(experiment, tags={INVOCATION_TAG: name}).info.run_id
        for name in ("dead", "alive")
    )
    statuses = {}
    for parent, status in ((dead, "RUNNING"), (dead, "FINISHED"), (alive, "RUNNING")):
        run = client.create_run(
            experiment, tags={KIND_TAG: "model", PARENT_TAG: parent}
        ).info.run_id
        client.update_run(run, status=status)
        statuses[parent, status] = run
    close_open_runs(client, "dead")
    close_open_runs(client, "logged elsewhere")
    found = {key: client.get_run(run).info.status for key, run in statuses.items()}
    assert found == {
        (dead, "RUNNING"): "KILLED",
        (dead, "FINISHED"): "FINISHED",
        (alive, "RUNNING"): "RUNNING",
    }
    assert client.get_run(dead).info.status == "KILLED"
    assert client.get_run(alive).info.status == "RUNNING"


def test_an_error_of_the_database_names_its_file(home):
    home.mkdir()
    database = home / "mlflow.db"
    database.write_text("this is no database")
    with (
        pytest.raises(TrackingError, match=f"{database}: file is not .*; move it away"),
        tracking_errors(),
    ):
        connect()
