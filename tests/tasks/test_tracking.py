import pytest
from mlflow.entities import LoggedModelOutput

from tasks.run_plan import RunPlan
from tasks.store import Entry
from tasks.tracking.client import (
    INVOCATION,
    KEY,
    KIND,
    TRAINED_BY,
    close_open_runs,
    connect,
    delete_runs,
)
from tasks.tracking.runs import Tracker


@pytest.fixture
def client():
    return connect()


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


def test_only_what_a_dead_invocation_was_filling_is_closed(client):
    experiment = client.create_experiment("dead")
    dead, alive = (
        client.create_run(experiment, tags={INVOCATION: name}).info.run_id
        for name in ("dead", "alive")
    )
    statuses = {}
    for parent, status in ((dead, "RUNNING"), (dead, "FINISHED"), (alive, "RUNNING")):
        run = client.create_run(experiment, tags={KIND: "model", TRAINED_BY: parent}).info.run_id
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


def test_a_run_is_complete_and_logged_once_whatever_came_between(client):
    tracker = Tracker("once", "invocation")
    tracker.start_study({"name": "once", "training": {"epochs": 2}})
    plan = RunPlan("model", "key", "train[x]", {"depth": 2, "latent_dim": 3}, None)
    history = [
        {"epoch": n, "train_loss": 0.1, "test_loss": 0.2, "learning_rate": 0.01} for n in (1, 2)
    ]
    result = {"history": history, "metrics": {"final_test_loss": 0.2}}
    result["parameters"] = {"n_parameters": 9}
    described = {"task": "train", "key": "key", "name": "train[x]", "seconds": 1}
    nothing = {"inputs": {}, "code": {}, "files": {}}
    entry = Entry(result=result, provenance={"commit": "c"}, **described, **nothing)

    def run():
        return tracker.client.get_run(tracker.find("key").info.run_id)

    tracker.begin(plan)
    tracker.log_epoch(plan, history[0])
    tracker.log_epoch(plan, history[0])
    tracker.fail(plan)
    assert run().info.status == "FAILED"
    tracker.begin(plan)
    assert run().info.status == "RUNNING"
    tracker.log_entry(plan, entry)
    assert run().info.status == "FINISHED"

    tracker.begin(plan)  # computed again on request, and failing
    tracker.fail(plan)
    assert run().info.status == "FINISHED"
    tracker.client.set_terminated(run().info.run_id, "KILLED")  # a kill just before the end
    other = Tracker("once", "another invocation")
    other.log_entry(plan, entry)
    tracker.log_entry(plan, entry)
    assert run().info.status == "FINISHED"
    assert run().data.params == {"depth": "2", "latent_dim": "3", "n_parameters": "9"}
    for name, steps in (("train_loss", [1, 2]), ("final_test_loss", [0])):
        found = tracker.client.get_metric_history(run().info.run_id, name)
        assert [metric.step for metric in found] == steps
