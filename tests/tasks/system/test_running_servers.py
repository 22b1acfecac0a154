import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

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


DAMAGED = [
    b"",
    b'{"Prefect": ',
    b"7",
    b"\xff",
    b"[" * 60_000,
    b'[["Prefect", "http://x"]]',
    b"{" * 99,
]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_counts_as_no_servers(home, content):
    home.mkdir()
    (home / "servers.json").write_bytes(content)
    assert running_servers() == {}
    record_servers(MLFLOW)
    assert running_servers() == MLFLOW


def test_what_is_no_address_is_left_out(home):
    home.mkdir()
    others = {"Prefect": 4200, "x": None, "y": "file:///etc/passwd", "z": ["http://x"]}
    (home / "servers.json").write_text(json.dumps(others | MLFLOW))
    assert running_servers() == MLFLOW
    forget_servers(MLFLOW)
    assert not (home / "servers.json").exists()


def test_a_pipe_or_a_device_in_place_of_the_file_holds_nothing_up(home):
    home.mkdir()
    path = home / "servers.json"
    os.mkfifo(path)
    assert running_servers() == {}
    record_servers(MLFLOW)
    assert running_servers() == MLFLOW
    path.unlink()
    path.symlink_to("/dev/zero")
    assert running_servers() == {}
    forget_servers(MLFLOW)
    assert not path.is_symlink()


def test_a_folder_in_place_of_the_file_is_a_warning(home):
    (home / "servers.json").mkdir(parents=True)
    with pytest.warns(match=r"other commands do not find these servers: cannot write .*s\.json"):
        record_servers(MLFLOW)
    assert running_servers() == {}


def test_servers_that_start_together_are_all_recorded(home):
    names = [f"server {number}" for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: record_servers({name: "http://127.0.0.1:1"}), names))
    assert sorted(running_servers()) == sorted(names)


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
