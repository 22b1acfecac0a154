import os

import pytest

from models.specs import ConfigError
from tasks.system.running_servers import record_servers
from tasks.tracking.config import (
    MlflowConfig,
    artifact_root,
    mlflow_config,
    page_address,
    tracking_uri,
)


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes ``mlflow.yaml`` into the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return (tmp_path / "mlflow.yaml").write_text


@pytest.mark.parametrize(
    "text", ["uri: x", "ui: {port: 0}", "ui: [1", "- 3", "experiment_prefix: ../up"]
)
def test_a_bad_file_is_one_line_that_names_it(written, text):
    written(text)
    with pytest.raises(ConfigError, match=r"mlflow\.yaml") as caught:
        mlflow_config()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- 3", r"mlflow\.yaml: should hold keys and values$"),
        (b"uri: x", r"mlflow\.yaml: uri: is no key that is known$"),
        (b"ui: {port: 1, port: 2}", 'the key "port" is given twice, line 1, column 15$'),
        (b"tracking_uri: caf\xe9\n", r"mlflow\.yaml': save it as utf-8 \(.* at byte 17\)$"),
        ("ui: {}\n".encode("utf-16"), r"mlflow\.yaml': save it as utf-8 \("),
        ("ui: {}\n".encode("utf-16le"), r"mlflow\.yaml': save it as utf-8 \(it holds NUL\)$"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(written, tmp_path, content, message):
    (tmp_path / "mlflow.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        mlflow_config()
    assert "\n" not in str(caught.value)


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(
    written, home, monkeypatch
):
    written("")
    assert mlflow_config() == MlflowConfig()
    assert tracking_uri() == f"sqlite:///{home / 'mlflow.db'}"
    written("tracking_uri: http://file:1")
    assert tracking_uri() == "http://file:1"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://environment:1")
    assert tracking_uri() == "http://environment:1"


def test_the_address_of_the_page_holds_no_password(written, monkeypatch):
    written("ui: {host: '::1'}")
    assert page_address() == "http://[::1]:5000"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:p@ss@host:1/mlflow/")
    assert page_address() == "https://host:1/mlflow"


def test_the_page_is_where_its_server_listens(written, home):
    written("")
    assert page_address() == "http://127.0.0.1:5000"
    record_servers({"MLflow": "http://127.0.0.1:4321"})  # another program held the port
    assert page_address() == "http://127.0.0.1:4321"


@pytest.mark.parametrize(
    "uri", ["http://me:pa/ss@host:5000", "http://me:12/34@host", "http://me:p#s@host", "http://:5"]
)
def test_an_address_that_ends_in_the_middle_of_a_password_is_refused(monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(ConfigError, match=r"MLFLOW_TRACKING_URI.*%2F") as caught:
        tracking_uri()
    assert "me:" not in str(caught.value)


@pytest.mark.parametrize("kind", ["pipe", "folder", "broken link"])
def test_a_configuration_that_is_no_file_is_refused_and_not_passed_over(
    tmp_path, monkeypatch, kind
):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mlflow.yaml"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("nothing")
    with pytest.raises(ConfigError, match=r"^cannot read the file '.*/mlflow\.yaml': "):
        mlflow_config()


@pytest.mark.parametrize("uri", ["sqlite:////x/mlflow.db", "postgresql://host/mlflow", ""])
def test_without_a_server_artifacts_are_in_study_home(uri, home, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert artifact_root() == (home / "mlartifacts").as_uri()


def test_a_server_decides_where_artifacts_are(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    assert artifact_root() is None
