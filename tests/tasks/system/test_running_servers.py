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
