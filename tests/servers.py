"""Real servers for tests and benchmarks."""

import http.client
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

START_SECONDS = 120


def free_port():
    """A port of the loopback address that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def start(command, question, environment):
    """Start a server and wait until it answers at the address ``question``; its process."""
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(question, timeout=2).close()
            return process
        except OSError:
            time.sleep(0.2)
    end(process)
    raise RuntimeError(f"{' '.join(command)} did not start")


def end(process, number=signal.SIGKILL):
    """End a server with everything that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    process.wait(timeout=20)


@contextmanager
def postgresql(*databases):
    """A PostgreSQL server with these databases; the address before a database's name.

    Skips the test where PostgreSQL is not installed.
    """
    import pytest  # benchmarks run without it

    found = shutil.which("initdb") or max(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=""
    )
    if not found:
        pytest.skip("PostgreSQL is not installed: no initdb")
    programs, port = Path(found).resolve().parent, free_port()
    # it refuses to run as root, and then needs a folder that another user may reach
    other = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid} if os.geteuid() == 0 else {}

    def run(program, *arguments):
        command = [programs / program, *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=60, **other)

    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        if other:
            shutil.chown(folder, *other.values())
        data = f"{folder}/data"
        run("initdb", "-D", data, "-U", "study", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-F -h 127.0.0.1 -p {port} -k {folder}"
        run("pg_ctl", "start", "-w", "-D", data, "-l", f"{folder}/log", "-o", options)
        try:
            for name in databases:
                run("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "study", name)
            yield f"study@127.0.0.1:{port}"
        finally:
            run("pg_ctl", "stop", "-D", data, "-m", "immediate")


def asked(address, **query):
    """What an HTTP server answers to a query in JSON."""
    return _answer_to("POST", address, json=query)


def fetched(address):
    """The JSON at an address."""
    return _answer_to("GET", address)


def _answer_to(method, address, **body):
    """Prefect's server is busy (503) while its database is locked; its own clients ask again."""
    again = Retry(total=10, backoff_factor=0.2, status_forcelist=[503], allowed_methods=None)
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=again))
        answer = session.request(method, address, timeout=20, **body)
        answer.raise_for_status()
        return answer.json() if answer.content else None


def start_prefect(home, database=None):
    """A Prefect server with its files below a folder: its process and its API's address.

    ``database`` is the address of another database than a file of its own.
    """
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    variables = {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": api,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    if database is not None:
        variables["PREFECT_API_DATABASE_CONNECTION_URL"] = database
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
    return start(command, f"{api}/health", os.environ | variables), api


class TrackingServer:
    """An MLflow server on a database of its own, used while it is up and also when it is not.

    ``MLFLOW_TRACKING_URI`` names it from the start to the end of the ``with`` block.
    """

    def __init__(self, folder, database=None):
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        self._command = [
            *(sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"),
            *("--backend-store-uri", database or f"sqlite:///{folder / 'server.db'}"),
            *("--artifacts-destination", str(folder / "server-artifacts")),
        ]
        self._process = None

    def __enter__(self):
        os.environ["MLFLOW_TRACKING_URI"] = self.address
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        del os.environ["MLFLOW_TRACKING_URI"]

    def start(self):
        environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        self._process = start(self._command, f"{self.address}/health", environment)

    def stop(self):
        """End it at once, as a kill does."""
        if self._process is not None:
            end(self._process)
            self._process = None


class Proxy:
    """Stands before a server: passes everything on, or does what a server in trouble does.

    ``status`` is answered in the server's place, after ``delay`` seconds.
    """

    def __init__(self, server):
        self.status, self.delay = None, 0.0
        self._port = free_port()
        self.address = f"http://127.0.0.1:{self._port}"
        proxy, target = self, urlsplit(server).netloc

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                time.sleep(proxy.delay)
                with suppress(OSError):  # one of the two is gone
                    if proxy.status is None:
                        self.pass_on(body)
                    else:
                        self.send_response(proxy.status)
                        self.send_header("Retry-After", "3600")
                        self.end_headers()

            def pass_on(self, body):
                with closing(http.client.HTTPConnection(target)) as upstream:
                    upstream.request(self.command, self.path, body, dict(self.headers))
                    answer = upstream.getresponse()
                    content = answer.read()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                        self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

            def log_message(self, *_):
                pass

        self._handler = Handler

    def __enter__(self):
        self.open()
        return self

    def __exit__(self, *_):
        self.close()

    def open(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        """Nobody listens any more."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def recorded_requests():
    """A server that answers nothing: its address, and the paths that it was asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()
