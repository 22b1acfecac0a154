"""``study ui``: the pages of MLflow and Prefect as child processes on the loopback address."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import typer

from flows.server import announce, withdraw
from tasks.mlflow_config import artifact_root, mlflow_config, tracking_uri
from tasks.tracking.client import connect, tracking

PREFECT_PORT = 4200
START_SECONDS = 90


def serve_pages() -> None:
    """Start both servers, print their addresses, stop them on Ctrl-C."""
    with tracking("does not open"):
        connect()
    page = mlflow_config().ui
    mlflow_port = _free_port(page.host, page.port)
    prefect_port = _free_port(page.host, PREFECT_PORT)
    servers = {
        f"http://{page.host}:{mlflow_port}": _start_mlflow(page.host, mlflow_port),
        f"http://{page.host}:{prefect_port}": _start_prefect(page.host, prefect_port),
    }
    for number in (signal.SIGINT, signal.SIGTERM):  # a background shell ignores SIGINT
        signal.signal(number, signal.default_int_handler)
    try:
        for (address, process), name in zip(servers.items(), ("MLflow", "Prefect"), strict=True):
            _wait(address, process)
            typer.echo(f"{name}: {address}")
        announce(list(servers)[1])
        typer.echo("Ctrl-C stops both")
        while all(process.poll() is None for process in servers.values()):
            time.sleep(0.5)
        typer.echo("study: a page server ended by itself", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        pass
    finally:
        withdraw()
        for process in servers.values():
            _stop(process)


def _free_port(host: str, wanted: int) -> int:
    """The wanted port, or any free one if another program holds it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, wanted))
        except OSError:
            probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _spawn(arguments: list[str], **variables: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env=os.environ | variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _start_mlflow(host: str, port: int) -> subprocess.Popen[bytes]:
    arguments = ["mlflow", "server"]
    root = artifact_root()
    if root:
        arguments += ["--default-artifact-root", root]
    arguments += ["--host", host, "--port", str(port), "--workers", "1", "--app-name", "study"]
    # not among the arguments, which every user of this machine can see
    variables = {"MLFLOW_BACKEND_STORE_URI": tracking_uri()}
    return _spawn(arguments, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", **variables)


def _start_prefect(host: str, port: int) -> subprocess.Popen[bytes]:
    address = f"http://{host}:{port}/api"
    arguments = ["prefect", "server", "start", "--host", host, "--port", str(port)]
    return _spawn(arguments, PREFECT_API_URL=address, PREFECT_UI_API_URL=address)


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    typer.echo(f"study: the server at {address} does not answer", err=True)
    sys.exit(1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a server and the processes it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=5)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
