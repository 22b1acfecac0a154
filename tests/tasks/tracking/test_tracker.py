import pytest
from mlflow.entities import LoggedModelOutput
from PIL import Image

from tasks.cache import store
from tasks.cache.entry import Entry, files_in
from tasks.tracking.client import (
    INVOCATION,
    KEY,
    KIND,
    TRAINED_BY,
    TrackingError,
    close_open_runs,
    connect,
    delete_runs,
    search_everywhere,
    tracking,
)
from tasks.tracking.entry_runs import EntryRuns
from tasks.tracking.run_plan import RunPlan
from tasks.tracking.tracker import Tracker, mark_dead, sync
from tests.servers import TrackingServer


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
STUDY = {"name": "once", "training": {"epochs": 2}}


def only_run(client, kind="model"):
    (run,) = search_everywhere(client, f"tags.`{KIND}` = '{kind}'")
    return run


def assert_logged_once(client):
    run = only_run(client)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"depth": "2", "latent_dim": "3", "n_parameters": "9"}
    for name, steps in (("train_loss", [1, 2]), ("final_test_loss", [0])):
        found = client.get_metric_history(run.info.run_id, name)
        assert [metric.step for metric in found] == steps


def test_a_run_is_complete_and_logged_once_whatever_came_between(client):
    tracker = Tracker("once", "invocation")
    tracker.start_study(STUDY)

    def status():
        assert tracker.wait()
        return only_run(client).info.status

    tracker.begin(PLAN)
    tracker.log_epoch(PLAN, HISTORY[0])
    tracker.log_epoch(PLAN, HISTORY[0])
    tracker.fail(PLAN)
    assert status() == "FAILED"
    tracker.begin(PLAN)
    assert status() == "RUNNING"
    tracker.log_entry(PLAN, ENTRY)
    assert status() == "FINISHED"

    tracker.begin(PLAN)  # computed again on request, and failing
    tracker.fail(PLAN)
    assert status() == "FINISHED"
    client.set_terminated(only_run(client).info.run_id, "KILLED")  # a kill just before the end
    other = Tracker("once", "another invocation")
    other.log_entry(PLAN, ENTRY)
    tracker.log_entry(PLAN, ENTRY)
    assert other.wait()
    assert status() == "FINISHED"
    assert_logged_once(client)
    tracker.finish_study("FINISHED", {"tasks_done": 1}, {})
    assert sync() == 0  # nothing is left, and the other one is at work


def test_of_runs_that_a_slow_server_created_twice_the_one_that_shows_something_stays(client):
    experiment = client.create_experiment("twice")
    tags = {KIND: "model", KEY: "key", INVOCATION: "invocation"}
    twins = [client.create_run(experiment, tags=tags).info.run_id for _ in range(3)]
    client.log_param(twins[1], "depth", 2)
    runs = EntryRuns(client, experiment, "twice")
    assert runs.find("key").info.run_id == twins[1]
    assert only_run(client).info.run_id == twins[1]


def test_pictures_that_are_logged_again_are_there_once(client, home):
    with store.workspace(ENTRY.task, ENTRY.key) as folder:
        Image.new("L", (2, 2)).save(folder / "digits-epoch-1.png")
        entry = ENTRY.model_copy(update={"files": files_in(folder)})
        store.publish(folder, entry)
    experiment = client.create_experiment("pictures", (home / "artifacts").as_uri())
    for moment in (1, 2):  # the first was cut off before the mark that all of it is there
        EntryRuns(client, experiment, "pictures").log_entry(PLAN, entry, moment)
        run_id = only_run(client).info.run_id
        assert len(client.list_artifacts(run_id, "images")) == 2
        client.delete_tag(run_id, "study.entry.train")


def test_an_error_of_the_database_names_its_file(home):
    home.mkdir()
    database = home / "mlflow.db"
    database.write_text("this is no database")
    with (
        pytest.raises(TrackingError, match=f"{database}: file is not .*; move it away"),
        tracking(),
    ):
        connect()


@pytest.fixture
def server(home):
    """A tracking server that can be stopped and started again; its address is in use."""
    with TrackingServer(home) as found:
        yield found


def test_what_an_outage_kept_from_mlflow_is_logged_later_once(server):
    with store.workspace(ENTRY.task, ENTRY.key) as folder:
        store.publish(folder, ENTRY)
    tracker = Tracker("once", "invocation")
    tracker.start_study(STUDY)
    tracker.begin(PLAN)
    tracker.log_epoch(PLAN, HISTORY[0])
    assert tracker.wait()
    server.stop()
    tracker._patience = 0.5
    tracker.log_epoch(PLAN, HISTORY[1])
    tracker.log_entry(PLAN, ENTRY)
    with pytest.warns(match="not in MLflow yet.*study sync"):
        tracker.finish_study("FINISHED", {"tasks_done": 1}, {"study.failures": ""})

    with pytest.raises(TrackingError):
        sync()
    server.start()
    assert sync() == 1
    assert sync() == 0
    client = connect()
    assert_logged_once(client)
    parent = only_run(client, "study")
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics == {"tasks_done": 1}


def test_a_server_that_comes_back_gets_all_of_it_during_the_run(server):
    server.stop()
    tracker = Tracker("once", "invocation")
    tracker.start_study(STUDY)
    tracker.begin(PLAN)
    server.start()
    tracker.log_entry(PLAN, ENTRY)
    tracker.finish_study("FINISHED", {}, {})
    assert_logged_once(connect())
    assert sync() == 0


def test_runs_of_a_dead_process_are_closed_by_the_next(client):
    dead = Tracker("once", "dead")
    dead.start_study(STUDY)
    dead.begin(PLAN)
    assert dead.wait()
    dead._spool.leave()
    mark_dead("dead")
    after = Tracker("once", "after")
    after.start_study(STUDY)
    assert after.wait()
    assert only_run(client).info.status == "KILLED"
    statuses = {r.info.status for r in search_everywhere(client, f"tags.`{KIND}` = 'study'")}
    assert statuses == {"KILLED", "RUNNING"}
