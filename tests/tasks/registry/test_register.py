import shutil
from pathlib import Path

import pytest
from mlflow.entities import Dataset, DatasetInput, LoggedModelOutput

from tasks.registry.register import register_best
from tasks.tracking.client import KIND_TAG, STUDY_TAG
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
