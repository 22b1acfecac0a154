import json
import shutil
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from models.specs import ConfigError
from tasks.artifacts.saved_model import RefusedModelError
from tasks.registry.load import load_logged_files, load_model
from tasks.registry.register import register_model
from tasks.tracking.client import connect
from tasks.tracking.config import artifact_root
from tests.saved_models import ATTACKS, INPUTS

NAME = "latent-study-made-encoder"


@pytest.fixture
def registered(client, home, saved_once):
    """The folder in the artifact store of a model that is registered under NAME@d5."""
    experiment = client.create_experiment("made", (home / "mlartifacts" / "made").as_uri())
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


@pytest.mark.parametrize("name", ["a%20b", "a b", "100%", "a#b", "%2e%2e"])
def test_a_model_is_loaded_below_a_home_of_any_name(
    name, new_database, saved_once, tmp_path, monkeypatch
):
    monkeypatch.setenv("STUDY_HOME", str(tmp_path / name / "results"))
    (tmp_path / name / "results").mkdir(parents=True)
    shutil.copy(new_database, tmp_path / name / "results" / "mlflow.db")
    client = connect()
    experiment = client.create_experiment("made", f"{artifact_root()}/made")
    model = client.create_logged_model(experiment, name="encoder")
    client.log_model_artifacts(model.model_id, str(saved_once))
    location = client.get_logged_model(model.model_id).artifact_location
    for address in (location, unquote(location.removeprefix("file://")).replace("%", "%25")):
        assert load_logged_files("encoder", address).inputs == INPUTS


def test_a_model_is_loaded_right_after_its_home_was_moved(registered, home, monkeypatch, tmp_path):
    shutil.copytree(home, tmp_path / "moved")
    shutil.rmtree(home)
    monkeypatch.setenv("STUDY_HOME", str(tmp_path / "moved"))
    with pytest.warns(match="STUDY_HOME was .* and is .*moved now"):
        assert load_model(f"{NAME}@d5").inputs == INPUTS
    assert not home.exists()


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


NUMBERS = ["7", "x", "", "-1", "1/1", "\u0661", str(2**31), str(2**63), "9" * 23, "9" * 5000]
UNKNOWN = ["nothing@d5", f"{NAME}@d9", NAME, "", *(f"{NAME}/{number}" for number in NUMBERS)]


@pytest.mark.parametrize("name", UNKNOWN)
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
    (tmp_path / "mlflow.yaml").write_text("artifact_root: s3://bucket/root\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "get_artifact_repository", lambda *_, **__: Elsewhere(folder))
    model = load_logged_files("encoder", "s3://bucket/model")
    assert model.predict(np.zeros((1, *INPUTS), np.float32)).shape == (1, 3)
    assert fetched == ["MLmodel", "data/model.pt2"]
    fetched.clear()
    (folder / "code.py").touch()
    with pytest.raises(RefusedModelError, match=r"it has the file 'code\.py'"):
        load_logged_files("encoder", "s3://bucket/model")
    assert fetched == []


PATH = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture
def server():
    """A server that keeps what it is asked, says that files are small, and sends without end."""
    asked = []

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            if "path=" in self.path:
                names = ["model.pt2"] if "data" in self.path else ["MLmodel"]
                files = [{"path": one, "is_dir": False, "file_size": 10} for one in names]
                files += [] if "data" in self.path else [{"path": "data", "is_dir": True}]
                self.wfile.write(json.dumps({"files": files}).encode())
                return
            try:
                for _ in range(100):
                    self.wfile.write(bytes(2**20))
                asked.append("everything was read")
            except OSError:
                asked.append("reading ended")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    server.asked, server.address = asked, f"http://127.0.0.1:{server.server_address[1]}"
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("tracking", [None, "http://127.0.0.1:9", "https://127.0.0.1:{port}"])
def test_an_address_on_another_server_is_asked_nothing(tracking, server, monkeypatch):
    port = server.server_address[1]
    if tracking:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.format(port=port))
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "user")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret-password")
    for address in (f"{server.address}{PATH}/x", f"http://me:word@127.0.0.1:{port}{PATH}/x"):
        with pytest.raises(RefusedModelError, match=f"127.0.0.1:{port}.* is in none of") as error:
            load_logged_files("m", address)
        assert "word" not in str(error.value)
    assert server.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "mlflow-artifacts://elsewhere:5000/x",
        "http://elsewhere\\@127.0.0.1:5000/x",
        "http://127.0.0.1:5000@elsewhere/x",
        "http://127.0.0.1:x/x",
        "HTTP://elsewhere/x",
        "ftp://127.0.0.1:5000/x",
        "runs:/0123/x",
        "s3://bucket/x",
        "abfss://c@account.dfs.core.windows.net/x",
        "file://elsewhere/x",
        "dbfs:/x",
    ],
)
def test_other_addresses_are_refused(address, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    with pytest.raises(RefusedModelError, match="is in none of these: STUDY_HOME, "):
        load_logged_files("m", address)


def test_a_folder_of_no_experiment_is_refused(registered, saved_once):
    for location in (str(saved_once), saved_once.as_uri(), f"{registered}/../../../../../../x"):
        with pytest.raises(RefusedModelError, match="is in none of these: STUDY_HOME, "):
            load_logged_files("m", location)


def test_a_folder_of_an_experiment_elsewhere_is_read(client, saved_once):
    client.create_experiment("elsewhere", saved_once.parent.as_uri())
    load_logged_files("m", str(saved_once))


@pytest.mark.parametrize("scheme", ["http", "mlflow-artifacts"])
def test_a_download_ends_at_its_limit_whatever_the_server_says(scheme, server, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
    address = f"{server.address}{PATH}/x" if scheme == "http" else "mlflow-artifacts:/x"
    with pytest.raises(RefusedModelError, match="MLmodel has more than 16,384 bytes"):
        load_logged_files("m", address)
    for _ in range(100):
        if server.asked[-1].startswith(("reading", "everything")):
            break
        time.sleep(0.1)
    assert server.asked[-1] == "reading ended"


def test_an_address_that_cannot_be_listed_is_one_line(server, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
    with pytest.raises(RefusedModelError, match=r"cannot be listed") as error:
        load_logged_files("m", f"{server.address}/x")
    assert str(error.value).isprintable()
