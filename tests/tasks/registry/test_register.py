import json
import math
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from unittest.mock import Mock

import pytest
from mlflow.entities import Dataset, DatasetInput, LoggedModelOutput
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

from tasks.registry.register import VERSIONS_TAG, register_best
from tasks.tracking.client import KIND_TAG, STUDY_TAG, known_addresses
from tests.saved_models import ARCHIVE, foreign_loader

SHA256 = "ab" * 32


@pytest.fixture
def experiment(client, home):
    """An experiment with the parent run of the study ``made`` and its dataset."""
    found = client.create_experiment("made", (home / "artifacts").as_uri())
    tags = {KIND_TAG: "study", STUDY_TAG: "made"}
    parent = client.create_run(found, tags=tags).info.run_id
    dataset = Dataset(name="digits", digest=SHA256[:36], source_type="local", source="{}")
    client.log_inputs(parent, [DatasetInput(dataset, [])])
    return found


@pytest.fixture
def add(client, experiment, saved_once):
    """Adds a finished run with a logged model and returns the run's id."""

    def run(kind, metric, value, latent_dim, sha256=SHA256, finished=True):
        part = "autoencoder" if kind == "model" else "classifier"
        made = client.create_run(experiment, tags={KIND_TAG: kind}, run_name=f"{part} {value}")
        run_id = made.info.run_id
        if latent_dim is not None:
            client.log_param(run_id, "latent_dim", latent_dim)
        client.log_param(run_id, "dataset_sha256", sha256)
        client.log_metric(run_id, metric, value)
        model = client.create_logged_model(experiment, name=part, source_run_id=run_id)
        client.log_model_artifacts(model.model_id, str(saved_once))
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        if finished:
            client.set_terminated(run_id)
        return run_id

    return run


def test_the_best_of_each_size_and_of_all_are_registered(client, add):
    add("model", "final_test_loss", 0.4, 5)
    add("model", "final_test_loss", 0.3, 5)
    best = add("model", "final_test_loss", 0.1, 20)
    add("model", "final_test_loss", 0.01, 20, sha256="cd" * 32)  # on other images
    add("model", "final_test_loss", 0.02, 20, finished=False)
    add("transfer", "test_accuracy", 0.8, 20)
    add("transfer", "test_accuracy", 0.9, 20)
    found = {(one.name, one.alias): one.value for one in register_best(client, "made").registered}
    assert found == {
        ("latent-study-made-autoencoder", "best"): 0.1,
        ("latent-study-made-autoencoder", "d20"): 0.1,
        ("latent-study-made-autoencoder", "d5"): 0.3,
        ("latent-study-made-classifier", "best"): 0.9,
        ("latent-study-made-classifier", "d20"): 0.9,
    }
    version = client.get_model_version_by_alias("latent-study-made-autoencoder", "best")
    assert version.run_id == best


def test_an_alias_moves_to_a_better_model_and_a_version_is_made_once(client, add):
    add("model", "final_test_loss", 0.4, 5)
    register_best(client, "made")
    assert {one.version for one in register_best(client, "made").registered} == {"1"}
    add("model", "final_test_loss", 0.2, 5)
    assert {(one.alias, one.version) for one in register_best(client, "made").registered} == {
        ("best", "2"),
        ("d5", "2"),
    }
    name = "latent-study-made-autoencoder"
    assert str(client.get_model_version_by_alias(name, "d5").version) == "2"
    assert len(client.search_model_versions(f"name = '{name}'")) == 2


def files_of(client, run_id):
    """The folder with the files of a run's model."""
    (output,) = client.get_run(run_id).outputs.model_outputs
    location = client.get_logged_model(output.model_id).artifact_location
    return Path(location.removeprefix("file://"))


def test_a_model_without_files_is_refused_and_the_others_are_registered(client, add):
    add("model", "final_test_loss", 0.3, 5)
    shutil.rmtree(files_of(client, add("model", "final_test_loss", 0.1, 20)))
    found = register_best(client, "made")
    assert [(one.name, one.alias) for one in found.registered] == [
        ("latent-study-made-autoencoder", "d5")
    ]
    (why,) = found.refused  # once, though it is d20 and best
    assert why.startswith("autoencoder of autoencoder 0.1 is not loaded: its files cannot be read")
    assert len(client.search_model_versions("name = 'latent-study-made-autoencoder'")) == 1
    assert client.get_registered_model("latent-study-made-autoencoder").aliases.keys() == {"d5"}


def test_a_model_with_foreign_files_is_refused_and_runs_nothing(client, add, tmp_path):
    files = files_of(client, add("model", "final_test_loss", 0.1, 20))
    foreign_loader(files, tmp_path / "canary")
    found = register_best(client, "made")
    assert found.registered == []
    assert len(found.refused) == 1
    assert not (tmp_path / "canary").exists()
    assert client.search_registered_models() == []


def test_a_damaged_model_is_refused(client, add):
    archive = files_of(client, add("transfer", "test_accuracy", 0.8, 20)) / ARCHIVE
    archive.write_bytes(archive.read_bytes()[:1000])
    (why,) = register_best(client, "made").refused
    assert "a broken archive" in why


def test_a_study_without_runs_or_models_is_an_error(client, add):
    with pytest.raises(LookupError, match=r"no study 'other'"):
        register_best(client, "other")
    with pytest.raises(LookupError, match=r"'made' have no models; run it again"):
        register_best(client, "made")


AUTOENCODER = "latent-study-made-autoencoder"


@pytest.mark.parametrize(
    ("metric", "latent_dim"),
    [(0.01, None), (0.01, "5'"), (0.01, "x y"), (math.nan, 5)],
)
def test_runs_that_cannot_be_compared_do_not_count(client, add, metric, latent_dim):
    add("model", "final_test_loss", metric, latent_dim)
    add("model", "final_test_loss", 0.4, 5)
    found = register_best(client, "made")
    assert {(one.alias, one.value) for one in found.registered} == {("best", 0.4), ("d5", 0.4)}
    assert found.refused == []


def only_model(client):
    (model,) = client.search_logged_models([client.get_experiment_by_name("made").experiment_id])
    return model


TAGS = ["no JSON", "7", "null", '"ab"', "[1]", '[{"name": "m"}]', "[" * 2000, "[[1, 2]]"]
TAGS += ['[{"name": "m", "version": NaN}]', '[{"name": "m", "version": Infinity}]']


@pytest.mark.parametrize("tag", TAGS)
def test_versions_in_a_tag_that_is_not_understood_count_as_none(client, add, tag):
    add("model", "final_test_loss", 0.4, 5)
    model_id = only_model(client).model_id
    client.set_logged_model_tags(model_id, {VERSIONS_TAG: tag})
    found = register_best(client, "made")
    assert {one.alias for one in found.registered} == {"best", "d5"}
    tags = client.get_logged_model(model_id).tags
    assert json.loads(tags[VERSIONS_TAG]) == [{"name": AUTOENCODER, "version": 1}]


def test_versions_in_a_tag_are_kept(client, add):
    add("model", "final_test_loss", 0.4, 5)
    model_id = only_model(client).model_id
    other = {"name": "other", "version": 3}
    client.set_logged_model_tags(model_id, {VERSIONS_TAG: json.dumps([other])})
    for _ in range(2):
        register_best(client, "made")
        tags = client.get_logged_model(model_id).tags
        assert json.loads(tags[VERSIONS_TAG]) == [other, {"name": AUTOENCODER, "version": 1}]


def rename(home, name, new):
    """Rename logged models in the database, as another program may name them."""
    with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
        database.execute("UPDATE logged_models SET name = ? WHERE name = ?", (new, name))


def test_a_quote_in_a_model_name_is_part_of_it(client, add, home):
    add("model", "final_test_loss", 0.4, 5)
    rename(home, "autoencoder", "it's")
    for _ in range(2):
        found = register_best(client, "made")
        assert {(one.name, one.alias, one.version) for one in found.registered} == {
            ("latent-study-made-it's", "best", "1"),
            ("latent-study-made-it's", "d5", "1"),
        }


@pytest.mark.parametrize("study", ["ma'de", "'", "made' OR '1' = '1", "ma\nde", "made\n", ""])
def test_a_study_of_a_name_that_none_can_have_is_unknown(client, add, study):
    add("model", "final_test_loss", 0.4, 5)
    with pytest.raises(LookupError, match=r"^no study .* with a dataset is in MLflow$"):
        register_best(client, study)


@pytest.mark.parametrize("digest", ["it's", "%", "ab"])
def test_a_dataset_that_this_project_did_not_log_is_left_out(client, experiment, add, digest):
    add("model", "final_test_loss", 0.4, 5)
    add("model", "final_test_loss", 0.1, 5, sha256="ab" + "cd" * 31)  # on other images
    parent = client.create_run(experiment, tags={KIND_TAG: "study", STUDY_TAG: "made"}).info.run_id
    dataset = Dataset(name="digits", digest=digest, source_type="local", source="{}")
    client.log_inputs(parent, [DatasetInput(dataset, [])])
    assert {one.value for one in register_best(client, "made").registered} == {0.4}


def test_a_model_that_mlflow_refuses_does_not_stop_the_others(client, add, home):
    add("transfer", "test_accuracy", 0.8, 20)
    add("model", "final_test_loss", 0.4, 5)
    rename(home, "autoencoder", "a/b\n\x1b[2J")
    found = register_best(client, "made")
    assert {one.name for one in found.registered} == {"latent-study-made-classifier"}
    (why,) = found.refused  # once, though it is d5 and best
    assert why.startswith(r"a/b\n\x1b[2J of autoencoder 0.4: ")
    assert "Invalid model name" in why
    assert why.isprintable()


def test_a_version_that_mlflow_refuses_leaves_no_name_without_versions(client, add, monkeypatch):
    add("model", "final_test_loss", 0.4, 5)
    with monkeypatch.context() as patch:
        refusal = MlflowException("no such source", INVALID_PARAMETER_VALUE)
        patch.setattr(client, "create_model_version", Mock(side_effect=refusal))
        assert len(register_best(client, "made").refused) == 1
    assert client.search_registered_models() == []
    register_best(client, "made")
    add("model", "final_test_loss", 0.3, 5)
    monkeypatch.setattr(client, "create_model_version", Mock(side_effect=refusal))
    assert len(register_best(client, "made").refused) == 1
    assert [one.name for one in client.search_registered_models()] == [AUTOENCODER]


def test_the_experiments_are_asked_for_once_however_many_models_there_are(client, add, monkeypatch):
    asked = []

    def count(given):
        asked.append(given)
        return known_addresses(given)

    for module in ("load", "register"):
        monkeypatch.setattr(f"tasks.registry.{module}.known_addresses", count, raising=False)
    for size in (2, 3, 4):
        add("model", "final_test_loss", 0.4, size)
    assert len(register_best(client, "made").registered) == 4
    assert len(asked) == 1


def test_an_error_of_the_server_is_not_one_of_a_model(client, add, monkeypatch):
    def fail(*_, **__):
        raise MlflowException("the database is locked")

    add("model", "final_test_loss", 0.4, 5)
    monkeypatch.setattr(client, "create_model_version", fail)
    with pytest.raises(MlflowException, match="locked"):
        register_best(client, "made")
