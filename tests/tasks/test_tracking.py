import pytest
from mlflow.entities import LoggedModelOutput

from tasks.tracking import KEY, KIND, TRAINED_BY, close_open_runs, connect, delete_runs


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STUDY_HOME", str(tmp_path_factory.mktemp("home")))
        yield connect()


def test_runs_go_with_the_models_that_were_logged_to_them(client):
    experiment = client.create_experiment("gc")
    runs = {}
    for key in ("kept", "gone"):
        runs[key] = client.create_run(experiment, tags={KIND: "model", KEY: key}).info.run_id
        model = client.create_logged_model(experiment, name=key, source_run_id=runs[key])
        client.log_outputs(runs[key], [LoggedModelOutput(model.model_id, step=0)])
    assert delete_runs(client, {"gone", "unknown"}) == 1
    assert client.get_run(runs["gone"]).info.lifecycle_stage == "deleted"
    assert client.get_run(runs["kept"]).info.lifecycle_stage == "active"
    assert [m.name for m in client.search_logged_models([experiment])] == ["kept"]


def test_only_what_a_dead_parent_was_filling_is_closed(client):
    experiment = client.create_experiment("dead")
    dead, alive = (client.create_run(experiment).info.run_id for _ in range(2))
    statuses = {}
    for parent, status in ((dead, "RUNNING"), (dead, "FINISHED"), (alive, "RUNNING")):
        run = client.create_run(experiment, tags={KIND: "model", TRAINED_BY: parent}).info.run_id
        client.update_run(run, status=status)
        statuses[parent, status] = run
    close_open_runs(client, dead)
    found = {key: client.get_run(run).info.status for key, run in statuses.items()}
    assert found == {
        (dead, "RUNNING"): "KILLED",
        (dead, "FINISHED"): "FINISHED",
        (alive, "RUNNING"): "RUNNING",
    }
    assert client.get_run(dead).info.status == "KILLED"
    assert client.get_run(alive).info.status == "RUNNING"
    close_open_runs(client, "0" * 32)  # logged elsewhere: nothing to close
