"""What is secret in an address or a variable stays there: no byte of it is written or printed."""

import base64
import http.client
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.faults.conftest import SHORT, SHORT_TRAINING
from tests.servers import TrackingServer

CANARY = "c4n4ry-in-the-mine"
BASIC = base64.b64encode(f"someone:{CANARY}".encode()).decode()
LEAKS = (CANARY.encode(), BASIC.encode())
ELSEWHERE = {
    "PREFECT_API_KEY": CANARY,
    "PREFECT_API_AUTH_STRING": f"someone:{CANARY}",
    "AWS_ACCESS_KEY_ID": "someone",
    "AWS_SECRET_ACCESS_KEY": CANARY,
    "AWS_SESSION_TOKEN": CANARY,
    "STUDY_STORE_KEY": CANARY,
    "STUDY_MIRROR": f"http://someone:{CANARY}@127.0.0.1:9/files",
}


@contextmanager
def guard(server, allowed):
    """A proxy in front of a server that lets these values of ``Authorization`` pass; its place."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Authorization") not in allowed:
                self.send_error(401)
                return
            behind = http.client.HTTPConnection(server.partition("://")[2], timeout=60)
            behind.request(self.command, self.path, body, dict(self.headers))
            answer = behind.getresponse()
            content = answer.read()
            behind.close()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward  # noqa: N815

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{proxy.server_port}"
        proxy.shutdown()


@pytest.fixture
def canary(alone, tmp_path):
    """The command with secrets wherever it does not need them; what it says holds none."""
    alone.variables |= ELSEWHERE
    run = alone.run

    def discreet(*arguments, **options):
        process = run(*arguments, **options)
        said = (process.stdout_text + process.stderr_text).encode()
        assert not [leak for leak in LEAKS if leak in said], said
        return process

    alone.run = discreet
    yield alone
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"prefect.db", "index.html"} <= {path.name for path in files}
    contents = {path: path.read_bytes() for path in files}
    leaking = [path for path, content in contents.items() for leak in LEAKS if leak in content]
    assert not leaking


def test_a_whole_study_keeps_the_secrets_in_its_variables(canary, tmp_path):
    address = f"http://someone:{CANARY}@"
    with (
        TrackingServer(tmp_path / "server") as server,
        guard(server.address, {f"Basic {BASIC}"}) as place,
    ):
        canary.variables["MLFLOW_TRACKING_URI"] = address + place
        canary.run("run", "smoke")
        canary.run("sync")  # on a busy machine a run does not wait for all of it
        canary.run("run", "smoke")
        canary.assert_logged_once()
        page = (canary.home / "reports" / "smoke" / "index.html").read_text()
        assert f'href="http://{place}/#/experiments/' in page
        canary.run("export", SHORT_TRAINING, "--to", str(tmp_path / "exported"))
        canary.run("register", "smoke")
        canary.run("status")
        canary.run("gc", "--keep", "1", "--yes", "--runs")


WAYS = {
    "password": {"MLFLOW_TRACKING_USERNAME": "someone", "MLFLOW_TRACKING_PASSWORD": CANARY},
    "token": {"MLFLOW_TRACKING_TOKEN": CANARY},
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_password_and_a_token_go_to_the_server_alone(canary, tmp_path, way):
    with (
        TrackingServer(tmp_path / "server") as server,
        guard(server.address, {f"Basic {BASIC}", f"Bearer {CANARY}"}) as place,
    ):
        canary.run(*SHORT, MLFLOW_TRACKING_URI=f"http://{place}", **way)
        canary.assert_logged_once()
        assert canary.runs()
        # another password
        left = canary.run(*SHORT, MLFLOW_TRACKING_URI=f"http://{place}")
        assert "not in MLflow yet" in left.stderr_text


def test_what_goes_wrong_tells_no_secret(canary, tmp_path):
    canary.variables["MLFLOW_TRACKING_URI"] = f"http://someone:{CANARY}@127.0.0.1:9"
    left = canary.run(*SHORT)
    assert "127.0.0.1:9 does not answer" in left.stderr_text
    assert list((canary.home / "spool").glob("*.jsonl"))
    for command in (
        ["sync"],
        ["register", "smoke"],
        ["export", SHORT_TRAINING, "--to", str(tmp_path / "out")],
    ):
        (line,) = canary.run(*command, code=1).stderr_text.splitlines()
        assert "127.0.0.1:9 does not answer" in line
    canary.run("status")
    wrong = f"http://someone:{CANARY}/{CANARY}@127.0.0.1:9"
    refused = canary.run(*SHORT, code=2, MLFLOW_TRACKING_URI=wrong)
    assert "MLFLOW_TRACKING_URI, or tracking_uri" in refused.stderr_text
    prefect = {"PREFECT_API_URL": f"http://someone:{CANARY}@127.0.0.1:9/api"}
    assert "127.0.0.1:9" in canary.run(*SHORT, code=2, **prefect).stderr_text

    there = {"MLFLOW_TRACKING_URI": "", "STUDY_DATA": str(tmp_path)}
    kmnist = [*SHORT, "--set", "dataset.name=kmnist"]
    failed = canary.run(*kmnist, code=1, **there)
    assert "http://127.0.0.1:9/files/: " in failed.stderr_text
    assert "http://127.0.0.1:9/files/: " in canary.run("status").stdout_text
    failed = canary.run(*kmnist, code=1, **there, STUDY_MIRROR=wrong)
    assert "STUDY_MIRROR is not an address" in failed.stderr_text
