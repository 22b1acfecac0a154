import sqlite3
from contextlib import closing

from mlflow.tracking._tracking_service.utils import _artifact_repos_cache
from PIL import Image

from tasks.cache import store
from tasks.cache.entry import files_in
from tasks.tracking import entry_runs
from tasks.tracking.client import (
    INVOCATION_TAG,
    KEY_TAG,
    KIND_TAG,
    known_addresses,
    search_everywhere,
)
from tasks.tracking.entry_runs import PROFILE, EntryRuns, epoch_metrics
from tasks.tracking.run_plan import DATASET_FIELDS
from tests.tasks.tracking.conftest import ENTRY, PLAN, only_run


def test_of_runs_that_a_slow_server_created_twice_the_one_that_shows_something_stays(client):
    experiment = client.create_experiment("twice")
    tags = {KIND_TAG: "model", KEY_TAG: "key", INVOCATION_TAG: "invocation"}
    twins = [client.create_run(experiment, tags=tags).info.run_id for _ in range(3)]
    client.log_param(twins[1], "depth", 2)
    runs = EntryRuns(client, experiment, "twice", known_addresses(client))
    assert runs.find("key").info.run_id == twins[1]
    assert only_run(client).info.run_id == twins[1]


def test_few_runs_are_read_however_many_there_are(client, monkeypatch):
    monkeypatch.setattr(entry_runs, "RUNS_READ_AT_START", 3, raising=False)
    experiment = client.create_experiment("many")
    for number in range(7):
        client.create_run(experiment, tags={KIND_TAG: "model", KEY_TAG: f"key{number}"})
    read, search = [], client.search_runs

    def search_runs(*arguments, **options):
        found = search(*arguments, **options)
        read.append(len(found))
        return found

    monkeypatch.setattr(client, "search_runs", search_runs)
    runs = EntryRuns(client, experiment, "many", known_addresses(client))
    assert sum(read) == 3
    assert runs.find("key6").data.tags[KEY_TAG] == "key6"
    assert sum(read) == 3
    assert runs.find("key0").data.tags[KEY_TAG] == "key0"
    assert runs.find("key0") is runs.find("key0")
    assert sum(read) == 4


def test_an_entry_of_a_run_that_was_not_read_at_the_start_is_not_logged_again(client, monkeypatch):
    experiment = client.create_experiment("many")
    EntryRuns(client, experiment, "many", known_addresses(client)).log_entry(PLAN, ENTRY, 1)
    client.create_run(experiment, 10**13, tags={KIND_TAG: "model", KEY_TAG: "newer"})
    monkeypatch.setattr(entry_runs, "RUNS_READ_AT_START", 1)
    runs = EntryRuns(client, experiment, "many", known_addresses(client))
    assert runs.shows(PLAN, ENTRY.fingerprint)


def test_runs_of_one_task_are_told_apart_by_what_differs(client):
    runs = EntryRuns(client, client.create_experiment("named"), "named", known_addresses(client))
    for number, parameters in enumerate([{"epochs": 2}, {"epochs": 5}, {"epochs": 5}]):
        plan = PLAN._replace(
            key=f"key{number}abc", identity={"depth": 2}, parameters={"depth": 2} | parameters
        )
        runs.begin(plan, 1 + number)
    names = {run.data.tags[KEY_TAG]: run.info.run_name for run in search_everywhere(client, "")}
    assert names == {
        "key0abc": "depth=2",
        "key1abc": "depth=2 (epochs=5)",
        "key2abc": "depth=2 (key2ab)",  # another data set or other code
    }


def test_pictures_that_are_logged_again_are_there_once(client, home):
    with store.workspace(ENTRY.task, ENTRY.key) as folder:
        Image.new("L", (2, 2)).save(folder / "digits-epoch-1.png")
        entry = ENTRY.model_copy(update={"files": files_in(folder)})
        store.publish(folder, entry)
    experiment = client.create_experiment("pictures", (home / "artifacts").as_uri())
    for moment in (1, 2):  # the first was cut off before the mark that all of it is there
        EntryRuns(client, experiment, "pictures", known_addresses(client)).log_entry(
            PLAN, entry, moment
        )
        run_id = only_run(client).info.run_id
        assert len(client.list_artifacts(run_id, "images")) == 2
        client.delete_tag(run_id, "study.entry.train")


def test_a_run_whose_files_are_elsewhere_is_not_used(client, home, tmp_path):
    """Whoever can write to the database chooses where MLflow writes weights and pictures."""
    with store.workspace(ENTRY.task, ENTRY.key) as folder:
        (folder / "spec.json").write_text("{}")
        entry = ENTRY.model_copy(update={"files": files_in(folder)})
        store.publish(folder, entry)
    experiment = client.create_experiment("made", (home / "mlartifacts" / "made").as_uri())
    EntryRuns(client, experiment, "made", known_addresses(client)).begin(PLAN, 1)
    with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
        database.execute("UPDATE runs SET artifact_uri = ?", [(tmp_path / "outside").as_uri()])
    trap = only_run(client).info.run_id
    _artifact_repos_cache.clear()
    EntryRuns(client, experiment, "made", known_addresses(client)).log_entry(PLAN, entry, 2)
    assert not (tmp_path / "outside").exists()
    shown = [run for run in search_everywhere(client, "") if run.info.run_id != trap]
    assert [run.info.status for run in shown] == ["FINISHED"]
    assert client.list_artifacts(shown[0].info.run_id)[0].path == "spec.json"


def test_numbers_of_an_epoch_have_names_of_their_own_and_what_is_missing_is_left_out():
    epoch = {"epoch": 2, "epochs": 5, "member": 0, "train_loss": 0.5, "validation_loss": None}
    parts = {"parts": {"objective_loss": 7, "kl": 3.5}}
    found = epoch_metrics(epoch | parts)
    assert found == {"train_loss": 0.5, "objective_loss": 7.0, "kl": 3.5}
    assert epoch_metrics(epoch | {"validation_loss": 0.25})["validation_loss"] == 0.25


def test_a_dataset_in_mlflow_has_all_of_its_sizes():
    assert set(PROFILE) == set(DATASET_FIELDS) - {"name", "sha256"}
    assert {"n_train", "n_test", "n_validation"} <= set(PROFILE)
