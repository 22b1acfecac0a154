import http.server
import os
import threading

import pytest

from flows.servers.health import (
    find_running_server,
    is_loopback,
    use_running_prefect,
    why_unreachable,
)
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
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
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


def test_only_a_server_that_answers_is_found(address):
    record_servers({"Prefect": address, "MLflow": address})
    assert find_running_server("Prefect") == address
    assert find_running_server("MLflow") is None  # it has no page /health


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("192.0.2.1", False),
        ("example.org", False),
        ("0.0.0.0", False),
        ("", False),
        (None, False),
    ],
)
def test_a_loopback_host_is_that_of_this_machine_only(host, expected):
    assert is_loopback(host) is expected


def test_why_a_server_cannot_be_reached(address):
    assert why_unreachable(f"{address}/api/health") == ""
    assert "404" in why_unreachable(f"{address}/other")
    assert "refused" in why_unreachable("http://127.0.0.1:9")
    assert "unknown url type" in why_unreachable("not an address")
