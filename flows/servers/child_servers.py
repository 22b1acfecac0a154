"""MLflow and Prefect servers as child processes of a command; each also serves its pages."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import typer
from filelock import FileLock

from flows.servers.health import HEALTH, is_loopback, why_unreachable
from flows.servers.prefect_database import replace_unknown_database, start_lock
from models.specs import ConfigError
from tasks.system.folders import study_home
from tasks.system.polling import wait_until
from tasks.tracking.config import artifact_root, http_address, mlflow_config, tracking_uri

PREFECT_PORT = 4200
LEASES = "prefect.server.concurrency.lease_storage.filesystem"
START_SECONDS = 90
STOP_SECONDS = 5


class ChildServer(NamedTuple):
    """A server that this process started, and the locks that it holds until the server answers."""

    name: str
    address: str
    process: subprocess.Popen[bytes]
    locks: tuple[FileLock, ...] = ()

    def release_locks(self) -> None:
        """Let other processes start a server."""
        for lock in self.locks:
            lock.release()


def addresses_of(servers: list[ChildServer]) -> dict[str, str]:
    """The addresses of servers, by name."""
    return {server.name: server.address for server in servers}


def start_mlflow(host: str) -> ChildServer:
    """Start an MLflow server on this host. It requires passwords unless that is a loopback host.

    Raises ConfigError if the host is not of this machine.
    """
    port, lock = _reserve_port("MLflow", host, mlflow_config().ui.port)
    address = http_address(host, port)
    variables = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_BACKEND_STORE_URI": tracking_uri(),  # not an argument: it may hold a password
    }
    app = "study"
    if not is_loopback(host):
        app = "basic-auth"
        variables |= _password_variables(address)
    arguments = ["mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"]
    arguments += ["--app-name", app, "--uvicorn-opts", "--no-access-log"]
    root = artifact_root()
    if root:
        arguments += ["--default-artifact-root", root]
    return _spawn("MLflow", address, arguments, **variables)._replace(locks=(lock,))


def _password_variables(address: str) -> dict[str, str]:
    """Variables of MLflow for passwords and use from other machines; those that are set win.

    The file of users is in STUDY_HOME; by default MLflow has it in the current folder.
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


def start_prefect(host: str) -> ChildServer:
    """Start a Prefect server on this host. Raises ConfigError if it is not of this machine.

    A database that Prefect cannot open is set aside, with a warning.
    """
    replace_unknown_database()
    database = start_lock()
    database.acquire()
    try:
        port, lock = _reserve_port("Prefect", host, PREFECT_PORT)
    except ConfigError:
        database.release()
        raise
    address = http_address(host, port)
    arguments = ["prefect", "server", "start", "--host", host, "--port", str(port)]
    variables = {
        "PREFECT_API_URL": f"{address}/api",
        "PREFECT_UI_API_URL": f"{address}/api",
        "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",  # the log file then says why it does not start
        # otherwise a run that died with its server would block the next runs forever
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES,
    }
    return _spawn("Prefect", address, arguments, **variables)._replace(locks=(lock, database))


def wait_for_answer(server: ChildServer, signals: Sequence[int] = ()) -> None:
    """Wait until the server answers, and print its address.

    Exits with 1 if it ends or does not answer in time. Returns early once ``signals`` is not empty.
    """

    def answers() -> bool:
        return not why_unreachable(server.address + HEALTH[server.name])

    try:
        in_time = wait_until(
            lambda: signals or server.process.poll() is not None or answers(),
            START_SECONDS,
            every=0.3,
        )
    finally:
        server.release_locks()
    if signals:
        return
    if not in_time or server.process.poll() is not None:
        log = _log(server.name)
        typer.echo(f"study: {server.name} did not start; the reason is in {log}", err=True)
        sys.exit(1)
    typer.echo(f"{server.name}: {server.address}")


def stop_servers(servers: list[ChildServer]) -> None:
    """End servers and the processes that they started."""
    processes = [server.process for server in servers]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            with suppress(ProcessLookupError, PermissionError):  # the latter on macOS, if it ended
                os.killpg(process.pid, number)
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=STOP_SECONDS)


def _reserve_port(name: str, host: str, wanted: int) -> tuple[int, FileLock]:
    """The wanted port, or any free one if another program holds it, which one line says.

    Returns a lock, too: until it is released no other command of this user gets the port.
    """
    port = wanted
    while True:
        lock = FileLock(Path(tempfile.gettempdir()) / f"latent-study-{os.getuid()}-{port}.lock")
        lock.acquire()
        if port == (found := _free_port(host, port)):
            break
        lock.release()
        port = found
    if port != wanted:
        typer.echo(
            f"study: another program uses port {wanted} of {host}, so {name} uses port {port}",
            err=True,
        )
    return port, lock


def _free_port(host: str, wanted: int) -> int:
    """The wanted port, or any free one if another program holds it."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind((host, port))
                return int(probe.getsockname()[1])
    raise ConfigError(f"ui.host: {host!r} is not an address of this machine; use 127.0.0.1")


def _log(name: str) -> Path:
    return study_home() / f"{name.lower()}-server.log"


def _spawn(name: str, address: str, arguments: list[str], **variables: str) -> ChildServer:
    with _log(name).open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env=os.environ | variables,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return ChildServer(name, address, process)
