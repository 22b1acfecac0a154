import http.server
import os
import subprocess
import sys
import threading

import pytest

from flows.lifecycle.prefect_environment import LOOPBACK, prepare_environment
from flows.servers.health import use_running_prefect
from tasks.system.running_servers import forget_servers, record_servers

PUBLIC = {"/api/health", "/api/admin/version"}


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path in PUBLIC else 404)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def address():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(autouse=True)
def no_server(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "")  # put back what was there in the end
    monkeypatch.delenv("PREFECT_API_URL")


def test_a_run_goes_to_the_server_that_is_up(address):
    record_servers({"Prefect": address})
    use_running_prefect()
    assert os.environ["PREFECT_API_URL"] == f"{address}/api"


def test_a_chosen_server_wins(address, monkeypatch):
    record_servers({"Prefect": address})
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere/api")
    use_running_prefect()
    assert os.environ["PREFECT_API_URL"] == "http://elsewhere/api"


def test_a_server_that_was_stopped_or_died_is_not_used(home):
    use_running_prefect()
    record_servers({"Prefect": "http://127.0.0.1:9"})
    forget_servers({"Prefect": "http://127.0.0.1:9"})
    use_running_prefect()
    record_servers({"Prefect": "http://127.0.0.1:9"})
    use_running_prefect()
    (home / "servers.json").write_text("{")
    use_running_prefect()
    assert "PREFECT_API_URL" not in os.environ


@pytest.mark.parametrize(
    ("given", "expected"),
    [("", LOOPBACK), ("corporate", f"corporate,{LOOPBACK}"), (f"a,{LOOPBACK}",) * 2, ("*", "*")],
)
def test_no_proxy_is_asked_for_what_runs_here(home, monkeypatch, given, expected):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, given)
    prepare_environment()
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == expected


def test_the_console_stays_quiet_when_the_database_complains(tmp_path):
    complain = (
        "import logging; from flows.lifecycle.prefect_environment import prepare_environment; "
        "prepare_environment(); "
        "import prefect.main, sqlalchemy; logging.getLogger('sqlalchemy.pool').error('stopped')"
    )
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-c", complain],
        env=clean | {"STUDY_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
