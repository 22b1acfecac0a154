import base64
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

import psutil
import pytest

from flows.commands.ui import find_or_start_servers
from flows.servers.health import find_running_server, use_running_prefect
from models.specs import ConfigError
from tests.conftest import COMMAND
from tests.servers import free_port

# The loopback address, but in no form that is known to be one.
FOREIGN = "127.1"
PASSWORDS = {
    "PREFECT_SERVER_API_AUTH_STRING": "reader:a long password",
    "MLFLOW_AUTH_ADMIN_PASSWORD": "a long password",
    "MLFLOW_FLASK_SERVER_SECRET_KEY": "some text",
}


class Healthy(BaseHTTPRequestHandler):
    """Answers as MLflow and Prefect do when they are asked how they are."""

    def do_GET(self):
        self.send_response(200 if self.path in {"/health", "/api/health"} else 404)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def elsewhere():
    """Host and port of a server that somebody else runs."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Healthy) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.yaml").touch()
    for name in [*PASSWORDS, "MLFLOW_TRACKING_URI", "PREFECT_API_URL", "PREFECT_API_AUTH_STRING"]:
        monkeypatch.setenv(name, "")  # put back what was there in the end
        monkeypatch.delenv(name)


def test_servers_elsewhere_are_named_without_their_passwords(elsewhere, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@{elsewhere}/")
    monkeypatch.setenv("PREFECT_API_URL", f"http://me:secret@{elsewhere}/api")
    find_or_start_servers()
    assert capsys.readouterr().out == (
        f"MLflow: http://{elsewhere} (runs already)\nPrefect: http://{elsewhere} (runs already)\n"
    )


@pytest.mark.parametrize(
    ("variable", "path"), [("MLFLOW_TRACKING_URI", ""), ("PREFECT_API_URL", "/api")]
)
def test_a_server_elsewhere_that_is_down_is_one_line(variable, path, monkeypatch, capsys):
    down = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv(variable, f"http://me:secret@{down}{path}")
    with pytest.raises(SystemExit) as ended:
        find_or_start_servers()
    said = capsys.readouterr().err
    assert ended.value.code == 1
    assert said.count("\n") == 1
    assert f"http://{down} does not answer (" in said
    assert variable in said


@pytest.mark.parametrize("missing", PASSWORDS)
def test_no_other_machine_is_let_in_without_a_password(missing, tmp_path, monkeypatch):
    (tmp_path / "mlflow.yaml").write_text("ui: {host: example.org}")
    for name in PASSWORDS.keys() - {missing}:
        monkeypatch.setenv(name, PASSWORDS[name])
    with pytest.raises(ConfigError, match=missing) as caught:
        find_or_start_servers()
    assert "\n" not in str(caught.value)
    assert not any(name in str(caught.value) for name in PASSWORDS.keys() - {missing})


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::"])
def test_an_address_of_this_machine_must_be_chosen(host, tmp_path):
    (tmp_path / "mlflow.yaml").write_text(f"ui: {{host: '{host}'}}")
    with pytest.raises(ConfigError, match="choose one of them"):
        find_or_start_servers()


class Ui:
    """``study ui`` in a process of its own, and what it started."""

    def __init__(self, folder, host="127.0.0.1", **variables):
        (folder / "mlflow.yaml").write_text(f"ui: {{host: '{host}', port: {free_port()}}}")
        self.process = subprocess.Popen(
            [*COMMAND, "ui"],
            cwd=folder,
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = []

    def __enter__(self):
        for line in self.process.stdout:
            self.said.append(line)
            if line.startswith("Ctrl-C"):
                return self
        raise AssertionError("".join(self.said))

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()

    def stop(self):
        """Two Ctrl-C's; the exit code."""
        for pause in (0.1, 0.0):
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGINT)
                time.sleep(pause)
        self.process.communicate(timeout=30)
        return self.process.returncode


def code(url, password=None):
    """The HTTP status of a page."""
    request = urllib.request.Request(url)
    if password:
        request.add_header("Authorization", f"Basic {base64.b64encode(password).decode()}")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.slow
def test_both_run_once_and_end_at_an_impatient_ctrl_c(tmp_path, home, capsys):
    with Ui(tmp_path) as ui:
        assert [code(find_running_server(name)) for name in ("MLflow", "Prefect")] == [200, 200]
        started = psutil.Process(ui.process.pid).children(recursive=True)
        assert len(started) >= 3  # MLflow, what it starts itself, Prefect
        find_or_start_servers()
        said = capsys.readouterr().out
        assert said.replace(" (runs already)", "") == "".join(ui.said[:2])
        assert ui.stop() == 0
        alive = psutil.wait_procs(started, timeout=0)[1]
        assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
        assert not (home / "servers.json").exists()


def test_prefect_asks_other_machines_for_a_password(tmp_path, elsewhere, monkeypatch):
    name = "PREFECT_SERVER_API_AUTH_STRING"
    variables = {name: PASSWORDS[name], "MLFLOW_TRACKING_URI": f"http://{elsewhere}"}
    with Ui(tmp_path, host=FOREIGN, **variables):
        page = find_running_server("Prefect")
        assert urlsplit(page).hostname == FOREIGN
        version = f"{page}/api/admin/version"
        assert code(version) == 401
        assert code(version, b"reader:another password") == 401
        assert code(version, PASSWORDS[name].encode()) == 200
        with pytest.raises(ConfigError, match="PREFECT_API_AUTH_STRING"):
            use_running_prefect()
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", PASSWORDS[name])
        use_running_prefect()
        assert os.environ["PREFECT_API_URL"] == f"{page}/api"


@pytest.mark.slow
def test_mlflow_asks_other_machines_for_a_password(tmp_path, home, elsewhere):
    pytest.importorskip("flask_wtf")
    variables = {"PREFECT_API_URL": f"http://{elsewhere}/api"}
    with Ui(tmp_path, host=FOREIGN, **PASSWORDS, **variables):
        page = find_running_server("MLflow")
        experiments = f"{page}/ajax-api/2.0/mlflow/experiments/search?max_results=1"
        for address in (page, experiments, f"{page}/get-artifact?path=x", f"{page}/graphql"):
            assert code(address) == 401
            assert code(address, b"admin:another password") == 401
        assert code(page, b"admin:a long password") == 200
        assert code(experiments, b"admin:a long password") == 200
        assert (home / "mlflow-users.db").exists()
        assert not (tmp_path / "basic_auth.db").exists()
