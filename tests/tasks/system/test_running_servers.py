import json
import shutil

import pytest

from tasks.system.running_servers import forget_servers, record_servers, running_servers

PREFECT, MLFLOW = {"Prefect": "http://127.0.0.1:4200"}, {"MLflow": "http://127.0.0.1:5000"}


def test_servers_are_recorded_until_they_are_forgotten(home):
    assert running_servers() == {}
    record_servers(PREFECT)
    record_servers(MLFLOW)
    assert running_servers() == PREFECT | MLFLOW
    forget_servers(PREFECT)
    assert running_servers() == MLFLOW
    forget_servers(MLFLOW)
    assert running_servers() == {}
    assert not (home / "servers.json").exists()


def test_a_server_that_replaced_another_is_not_forgotten_with_it():
    record_servers(PREFECT)
    newer = {"Prefect": "http://127.0.0.1:4300"}
    record_servers(newer)
    forget_servers(PREFECT)
    assert running_servers() == newer


@pytest.mark.parametrize("content", [b"", b'{"Prefect": ', b"7", b"\xff"])
def test_a_damaged_file_counts_as_no_servers(home, content):
    home.mkdir()
    (home / "servers.json").write_bytes(content)
    assert running_servers() == {}
    record_servers(MLFLOW)
    assert running_servers() == MLFLOW


def test_a_copied_or_moved_home_does_not_use_the_servers_of_the_other_folder(
    home, tmp_path, monkeypatch
):
    record_servers(PREFECT)
    (tmp_path / "link").symlink_to(home)
    monkeypatch.setenv("STUDY_HOME", str(tmp_path / "link"))
    assert running_servers() == PREFECT
    shutil.copytree(home, tmp_path / "copy")
    monkeypatch.setenv("STUDY_HOME", str(tmp_path / "copy"))
    assert running_servers() == {}
    record_servers(MLFLOW)
    assert running_servers() == MLFLOW


def test_a_record_that_does_not_name_its_folder_is_read(home):
    home.mkdir()
    (home / "servers.json").write_text(json.dumps(PREFECT))
    assert running_servers() == PREFECT
