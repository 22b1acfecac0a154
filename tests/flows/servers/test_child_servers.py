import os
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest

from flows.servers import child_servers
from flows.servers.child_servers import (
    ChildServer,
    _free_port,
    _reserve_port,
    start_mlflow,
    start_prefect,
    stop_servers,
    wait_for_answer,
)
from models.specs import ConfigError
from tasks.system.locks import is_held


@pytest.fixture
def spawned(monkeypatch, tmp_path):
    """The arguments and variables of servers, which are not started."""
    found = []
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.yaml").write_text("ui: {port: 5000}\nartifact_root: s3://bucket/files\n")

    def spawn(name, address, arguments, **variables):
        found.append((address, arguments, variables))
        return ChildServer(name, address, None)

    monkeypatch.setattr(child_servers, "_spawn", spawn)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_AUTH_CONFIG_PATH"):
        monkeypatch.delenv(name, raising=False)
    return found


@pytest.fixture
def started(home):
    """Starts Python code as a server."""
    servers = []
    home.mkdir()

    def start(code, address="http://127.0.0.1:9"):
        process = subprocess.Popen(
            [sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE, text=True
        )
        servers.append(ChildServer("Prefect", address, process))
        return servers[-1]

    yield start
    for server in servers:
        server.process.kill()
        server.process.communicate()


def test_a_port_that_is_taken_is_replaced_by_a_free_one():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        other = _free_port("127.0.0.1", port)
        assert other not in {0, port}
    assert _free_port("127.0.0.1", port) == port


def test_a_port_is_given_to_one_command_at_a_time():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    first, lock = _reserve_port("Prefect", "127.0.0.1", port)
    other = subprocess.Popen(
        [sys.executable, "-c", RESERVE.format(port=port)], stdout=-1, text=True
    )
    assert other.stdout.readline() == "asking\n"
    with pytest.raises(subprocess.TimeoutExpired):
        other.wait(1)
    with socket.create_server(("127.0.0.1", first)):  # the server of the first
        lock.release()
        second = int(other.communicate(timeout=20)[0])
    assert first == port
    assert second != port


RESERVE = """
print("asking", flush=True)
from flows.servers.child_servers import _reserve_port
print(_reserve_port("Prefect", "127.0.0.1", {port})[0])
"""


def test_another_program_on_the_port_is_one_line(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = taken.getsockname()[1]
        port, lock = _reserve_port("Prefect", "127.0.0.1", wanted)
        lock.release()
    said = capsys.readouterr().err
    assert said == (
        f"study: another program uses port {wanted} of 127.0.0.1, so Prefect uses port {port}\n"
    )


def test_a_server_of_prefect_holds_the_lock_of_its_database_until_it_answers(
    spawned, monkeypatch, home
):
    monkeypatch.setenv("PREFECT_HOME", str(home / "prefect"))
    server = start_prefect("127.0.0.1")
    assert is_held(home / "prefect" / "start.lock")
    ended = SimpleNamespace(poll=lambda: 0)
    with pytest.raises(SystemExit):
        wait_for_answer(server._replace(process=ended))
    assert not is_held(home / "prefect" / "start.lock")


def test_a_host_of_another_machine_is_refused():
    with pytest.raises(ConfigError, match=r"ui\.host: '192\.0\.2\.1' is not an address of this"):
        _free_port("192.0.2.1", 0)


def test_for_this_machine_mlflow_needs_no_password(spawned, home):
    start_mlflow("127.0.0.1")
    ((address, arguments, variables),) = spawned
    assert arguments[:4] == ["mlflow", "server", "--host", "127.0.0.1"]
    assert address == f"http://127.0.0.1:{arguments[arguments.index('--port') + 1]}"
    assert arguments[arguments.index("--app-name") + 1] == "study"
    assert arguments[-2:] == ["--default-artifact-root", "s3://bucket/files"]
    assert variables["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{home}/mlflow.db"
    assert "mlflow.db" not in " ".join(arguments)  # the address of a database may hold a password
    assert "MLFLOW_AUTH_CONFIG_PATH" not in variables


def test_for_other_machines_mlflow_has_users_in_study_home(spawned, home, monkeypatch):
    home.mkdir()
    monkeypatch.setattr(child_servers, "is_loopback", lambda host: False)
    start_mlflow("127.0.0.1")
    ((address, arguments, variables),) = spawned
    assert arguments[arguments.index("--app-name") + 1] == "basic-auth"
    assert variables["MLFLOW_AUTH_CONFIG_PATH"] == str(home / "mlflow-users.ini")
    assert f"{home}/mlflow-users.db" in (home / "mlflow-users.ini").read_text()
    assert variables["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"] == address
    monkeypatch.setenv("MLFLOW_AUTH_CONFIG_PATH", "/own/users.ini")
    start_mlflow("127.0.0.1")
    assert spawned[1][2]["MLFLOW_AUTH_CONFIG_PATH"] == "/own/users.ini"


def test_prefects_page_uses_the_api_of_its_server(spawned):
    start_prefect("127.0.0.1")
    ((address, arguments, variables),) = spawned
    assert arguments[:3] == ["prefect", "server", "start"]
    assert variables["PREFECT_UI_API_URL"] == variables["PREFECT_API_URL"] == f"{address}/api"


SERVE = """
import http.server
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
print(server.server_port, flush=True)
server.serve_forever()
"""


def test_a_server_is_shown_once_it_answers(started, capsys, monkeypatch):
    monkeypatch.setitem(child_servers.HEALTH, "Prefect", "/")
    server = started(SERVE)
    address = f"http://127.0.0.1:{int(server.process.stdout.readline())}"
    wait_for_answer(server._replace(address=address))
    assert capsys.readouterr().out == f"Prefect: {address}\n"


def test_a_server_that_ends_is_one_line_with_its_log(started, capsys, home):
    with pytest.raises(SystemExit) as ended:
        wait_for_answer(started("raise SystemExit(3)"))
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said == f"study: Prefect did not start; the reason is in {home}/prefect-server.log\n"


def test_a_signal_ends_the_waiting_without_an_error(started, capsys):
    wait_for_answer(started("import time; time.sleep(60)"), signals=[2])
    assert capsys.readouterr() == ("", "")


STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def test_servers_end_with_what_they_started_even_if_they_ignore_it(started, monkeypatch):
    monkeypatch.setattr(child_servers, "STOP_SECONDS", 0.2)
    stubborn, gone = started(STUBBORN), started("pass")
    child = psutil.Process(int(stubborn.process.stdout.readline()))
    gone.process.wait()
    began = time.monotonic()
    stop_servers([stubborn, gone])
    assert stubborn.process.poll() is not None
    assert psutil.wait_procs([child], timeout=5)[1] == []
    assert time.monotonic() - began < 5


def test_a_server_writes_to_its_log_and_has_its_variables(home):
    home.mkdir()
    (home / "greet.py").write_text("import os; print(os.environ['GREETING'])")
    path = os.pathsep.join([str(home), os.environ.get("PYTHONPATH", "")])
    server = child_servers._spawn(
        "MLflow", "http://x", ["greet"], GREETING="hello", PYTHONPATH=path
    )
    server.process.wait(timeout=20)
    assert (home / "mlflow-server.log").read_text() == "hello\n"
