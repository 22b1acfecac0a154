"""``study ui``: the pages of MLflow and Prefect, found where they run or started here."""

import importlib.util
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import typer

from flows.server import HEALTH, announce, running, silence, withdraw
from models.specs import ConfigError
from tasks.home import study_home
from tasks.mlflow_config import (
    artifact_root,
    http_address,
    mlflow_config,
    page_address,
    tracking_uri,
    without_credentials,
)
from tasks.tracking.client import connect

PREFECT_PORT = 4200
START_SECONDS = 90
STOP_SECONDS = 5
ELSEWHERE_SECONDS = 10.0
CHOSEN_BY = {
    "MLflow": "MLFLOW_TRACKING_URI or tracking_uri in mlflow.yaml",
    "Prefect": "PREFECT_API_URL",
}


class Page(NamedTuple):
    """A server that was started here."""

    name: str
    address: str
    process: subprocess.Popen[bytes]


def serve_pages() -> None:
    """Print where the pages are. Start those that nobody serves, and stop these on Ctrl-C."""
    found = {name: _elsewhere(name) or running(name) for name in HEALTH}
    missing = [name for name, address in found.items() if address is None]
    host = mlflow_config().ui.host
    if missing and not _is_loopback(host):
        _require_passwords(host, missing)
    for name, address in found.items():
        if address is not None:
            typer.echo(f"{name}: {address} (runs already)")
    if missing:
        _serve(missing, host)


def _elsewhere(name: str) -> str | None:
    """Address of the server that this machine is configured to use, if it is; it must answer."""
    if name == "MLflow":
        address = page_address() if tracking_uri().startswith("http") else ""
    else:
        api = without_credentials(os.environ.get("PREFECT_API_URL", ""))
        address = api.rstrip("/").removesuffix("/api")
    if not address:
        return None
    why = silence(address + HEALTH[name], ELSEWHERE_SECONDS)
    if why:
        remedy = f"start it, or change {CHOSEN_BY[name]}"
        typer.echo(f"study: {name} at {address} does not answer ({why}): {remedy}", err=True)
        sys.exit(1)
    return address


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _require_passwords(host: str, names: list[str]) -> None:
    """Raise ConfigError unless every server that is to be started asks for a password."""
    if host in {"", "0.0.0.0", "::"}:
        raise ConfigError(f"ui.host: {host!r} is every address of this machine: name one of them")
    needed = []
    if "Prefect" in names and not os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        needed.append("PREFECT_SERVER_API_AUTH_STRING=user:password")
    if "MLflow" in names:
        own_users = os.environ.get("MLFLOW_AUTH_CONFIG_PATH")
        if not own_users and not os.environ.get("MLFLOW_AUTH_ADMIN_PASSWORD"):
            needed.append("MLFLOW_AUTH_ADMIN_PASSWORD (12 characters or more)")
        if not os.environ.get("MLFLOW_FLASK_SERVER_SECRET_KEY"):
            needed.append("MLFLOW_FLASK_SERVER_SECRET_KEY (any random text)")
        if importlib.util.find_spec("flask_wtf") is None:
            needed.append("what `pip install 'mlflow[auth]'` installs")
    if needed:
        raise ConfigError(
            f"ui.host: {host!r} lets other machines in, and nothing asks for a password: it needs "
            f"{', '.join(needed)}; or leave it at 127.0.0.1 and come in through an ssh tunnel"
        )


def _serve(names: list[str], host: str) -> None:
    """Start servers, print their addresses, stop them on a signal."""
    start: dict[str, Callable[[str], Page]] = {"MLflow": _start_mlflow, "Prefect": _start_prefect}
    pages: list[Page] = []
    if "MLflow" in names:
        connect()
    signals = _collect_signals()
    try:
        for name in names:
            pages.append(start[name](host))
        for page in pages:
            _wait(page, signals)
        announce({page.name: page.address for page in pages})
        if not signals:
            typer.echo(f"Ctrl-C stops {' and '.join(names)}")
        while not signals and all(page.process.poll() is None for page in pages):
            time.sleep(0.2)
        if not signals:
            typer.echo("study: a page server ended by itself", err=True)
            sys.exit(1)
    finally:
        withdraw()
        _stop([page.process for page in pages])


def _collect_signals() -> list[int]:
    """A list that grows with every signal to stop: none of them interrupts what is going on."""
    received: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # a background shell ignores SIGINT, nohup SIGHUP
        if number != signal.SIGHUP or signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, lambda number, _: received.append(number))
    return received


def _free_port(host: str, wanted: int) -> int:
    """The wanted port, or any free one if another program holds it."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind((host, port))
                return int(probe.getsockname()[1])
    raise ConfigError(f"ui.host: {host!r} is no address of this machine")


def _log(name: str) -> Path:
    return study_home() / f"{name.lower()}-server.log"


def _spawn(name: str, address: str, arguments: list[str], **variables: str) -> Page:
    with _log(name).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env=os.environ | variables,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return Page(name, address, process)


def _start_mlflow(host: str) -> Page:
    port = _free_port(host, mlflow_config().ui.port)
    address = http_address(host, port)
    variables = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_BACKEND_STORE_URI": tracking_uri(),  # not an argument: it may hold a password
    }
    app = "study"
    if not _is_loopback(host):
        app = "basic-auth"
        variables |= _guarded(address)
    arguments = ["mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"]
    arguments += ["--app-name", app, "--uvicorn-opts", "--no-access-log"]
    root = artifact_root()
    if root:
        arguments += ["--default-artifact-root", root]
    return _spawn("MLflow", address, arguments, **variables)


def _guarded(address: str) -> dict[str, str]:
    """What MLflow needs beside a password to be used from other machines, unless it is set.

    Its users are kept in STUDY_HOME; MLflow itself would keep them in the current folder.
    """
    users = study_home() / "mlflow-users.ini"
    database = f"sqlite:///{study_home() / 'mlflow-users.db'}".replace("%", "%%")
    settings = f"default_permission = READ\ndatabase_uri = {database}\nadmin_username = admin\n"
    users.write_text(f"[mlflow]\n{settings}", encoding="utf-8")
    defaults = {
        "MLFLOW_AUTH_CONFIG_PATH": str(users),
        "MLFLOW_SERVER_ALLOWED_HOSTS": address.removeprefix("http://"),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": address,
    }
    return {name: os.environ.get(name) or value for name, value in defaults.items()}


def _start_prefect(host: str) -> Page:
    port = _free_port(host, PREFECT_PORT)
    address = http_address(host, port)
    arguments = ["prefect", "server", "start", "--host", host, "--port", str(port)]
    api = f"{address}/api"
    return _spawn("Prefect", address, arguments, PREFECT_API_URL=api, PREFECT_UI_API_URL=api)


def _wait(page: Page, signals: list[int]) -> None:
    """Print the server's address when it answers; exits with 1 if it does not."""
    deadline = time.monotonic() + START_SECONDS
    while not signals and time.monotonic() < deadline and page.process.poll() is None:
        if not silence(page.address + HEALTH[page.name]):
            typer.echo(f"{page.name}: {page.address}")
            return
        time.sleep(0.3)
    if not signals:
        typer.echo(f"study: {page.name} did not start; it says why in {_log(page.name)}", err=True)
        sys.exit(1)


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """End servers and the processes they started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=STOP_SECONDS)
