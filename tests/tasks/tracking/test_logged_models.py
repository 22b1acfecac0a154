import shutil
from pathlib import Path

import numpy as np
import pytest

from models.specs import ConfigError
from tasks.artifacts.saved_model import RefusedModelError
from tasks.tracking.logged_models import load_logged_files, load_model, register_model
from tests.saved_models import ATTACKS, INPUTS

NAME = "latent-study-made-encoder"


@pytest.fixture
def registered(client, home, saved_once):
    """The folder in the artifact store of a model that is registered under NAME@d5."""
    experiment = client.create_experiment("made", (home / "artifacts").as_uri())
    run_id = client.create_run(experiment).info.run_id
    model = client.create_logged_model(experiment, name="encoder", source_run_id=run_id)
    client.log_model_artifacts(model.model_id, str(saved_once))
    register_model(client, NAME, model, "d5")
    return Path(model.artifact_location.removeprefix("file://"))


def test_a_model_is_loaded_by_alias_or_version(registered):
    batch = np.random.default_rng(0).random((4, *INPUTS), dtype=np.float32)
    by_alias = load_model(f"{NAME}@d5")
    assert (by_alias.inputs, by_alias.outputs) == (INPUTS, (3,))
    found = by_alias.predict(batch)
    assert found.shape == (4, 3)
    for name in (f"{NAME}/1", f"models:/{NAME}@d5"):
        assert (load_model(name).predict(batch) == found).all()


@pytest.mark.filterwarnings("ignore")
def test_results_are_those_of_mlflow(registered):
    from mlflow.pyfunc import load_model as load_with_mlflow

    batch = np.random.default_rng(0).random((4, *INPUTS), dtype=np.float32)
    expected = load_with_mlflow(str(registered)).predict(batch)
    assert (load_model(f"{NAME}@d5").predict(batch) == expected).all()


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_in_the_artifact_store_is_run(name, registered, tmp_path):
    attack, message = ATTACKS[name]
    attack(registered, tmp_path / "canary")
    if message is None:
        load_model(f"{NAME}@d5")
    else:
        with pytest.raises(RefusedModelError, match=message):
            load_model(f"{NAME}@d5")
    assert not (tmp_path / "canary").exists()


def test_lost_files_are_named(registered):
    shutil.rmtree(registered)
    with pytest.raises(ConfigError, match=rf"^{NAME}@d5 is not loaded: its files cannot be read"):
        load_model(f"{NAME}@d5")


@pytest.mark.parametrize("name", ["nothing@d5", f"{NAME}@d9", NAME, f"{NAME}/7", f"{NAME}/x", ""])
def test_an_unknown_model_is_a_mistake_of_the_user(name, registered):
    with pytest.raises(ConfigError, match=r"^no model '.*' in MLflow; `study register` makes them"):
        load_model(name)


def test_files_elsewhere_are_listed_before_they_are_fetched(
    client, saved_once, monkeypatch, tmp_path
):
    """With a repository that is not of this machine's files."""
    from mlflow.store.artifact import artifact_repository_registry as registry
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    fetched = []

    class Elsewhere:
        def __init__(self, folder):
            self.files = LocalArtifactRepository(str(folder))

        def list_artifacts(self, path=None):
            return self.files.list_artifacts(path)

        def download_artifacts(self, path, target):
            fetched.append(path)
            return str(shutil.copy(Path(self.files.artifact_dir) / path, target))

    folder = shutil.copytree(saved_once, tmp_path / "model")
    monkeypatch.setattr(registry, "get_artifact_repository", lambda *_, **__: Elsewhere(folder))
    model = load_logged_files("encoder", "s3://bucket/model")
    assert model.predict(np.zeros((1, *INPUTS), np.float32)).shape == (1, 3)
    assert fetched == ["MLmodel", "data/model.pt2"]
    fetched.clear()
    (folder / "code.py").touch()
    with pytest.raises(RefusedModelError, match=r"it has the file 'code\.py'"):
        load_logged_files("encoder", "s3://bucket/model")
    assert fetched == []
