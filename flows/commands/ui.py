"""``study ui``: shows the pages of MLflow and Prefect, and starts their servers if needed."""

import importlib.util
import os
import signal
import sys
from collections.abc import Callable

import typer

from flows.servers.child_servers import (
    ChildServer,
    addresses_of,
    start_mlflow,
    start_prefect,
    stop_servers,
    wait_for_answer,
)
from flows.servers.health import HEALTH, find_running_server, is_loopback, why_unreachable
from models.specs import ConfigError
from tasks.system.addresses import without_credentials
from tasks.system.polling import wait_until
from tasks.system.running_servers import forget_servers, record_servers
from tasks.tracking.config import mlflow_config, page_address, tracking_uri

CONFIGURED_SERVER_SECONDS = 10.0  # how long a configured server may take to answer
CONFIGURED_BY = {
    "MLflow": "MLFLOW_TRACKING_URI or tracking_uri in mlflow.yaml",
    "Prefect": "PREFECT_API_URL",
}


def ui() -> None:
    """Show the addresses of the MLflow and Prefect pages. Start missing servers, until Ctrl-C."""
    from flows.lifecycle.prefect_environment import prepare_environment

    prepare_environment()
    find_or_start_servers()


def find_or_start_servers() -> None:
    """Print the addresses of the servers. Start those that do not run, and stop these on Ctrl-C."""
    found = {name: _configured_address(name) or find_running_server(name) for name in HEALTH}
    missing = [name for name, address in found.items() if address is None]
    host = mlflow_config().ui.host
    if missing and not is_loopback(host):
        _require_passwords(host, missing)
    for name, address in found.items():
        if address is not None:
            typer.echo(f"{name}: {address} (runs already)")
    if missing:
        _start_servers(missing, host)


def _configured_address(name: str) -> str | None:
    """The address of the server that the configuration or a variable names, if there is one.

    Exits with 1 if that server does not answer.
    """
    if name == "MLflow":
        address = page_address() if tracking_uri().startswith("http") else ""
    else:
        api = without_credentials(os.environ.get("PREFECT_API_URL", ""))
        address = api.rstrip("/").removesuffix("/api")
    if not address:
        return None
    why = why_unreachable(address + HEALTH[name], CONFIGURED_SERVER_SECONDS)
    if why:
        remedy = f"start it, or change {CONFIGURED_BY[name]}"
        typer.echo(f"study: {name} at {address} does not answer ({why}): {remedy}", err=True)
        sys.exit(1)
    return address


def _require_passwords(host: str, names: list[str]) -> None:
    """Raise ConfigError unless each of these servers will require a password."""
    if host in {"", "0.0.0.0", "::"}:
        raise ConfigError(f"ui.host: {host!r} is every address of this machine; choose one of them")
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
            needed.append("flask-wtf (pip install 'mlflow[auth]')")
    if needed:
        raise ConfigError(
            f"ui.host: {host!r} can be reached from other machines, so it needs passwords: "
            f"{', '.join(needed)}; or use 127.0.0.1 and an ssh tunnel"
        )


def _start_servers(names: list[str], host: str) -> None:
    """Start servers, print their addresses, stop them on a signal."""
    start: dict[str, Callable[[str], ChildServer]] = {
        "MLflow": start_mlflow,
        "Prefect": start_prefect,
    }
    servers: list[ChildServer] = []
    if "MLflow" in names:
        from tasks.tracking.client import connect, tracking_errors

        with tracking_errors("does not open"):
            connect()
    signals = _collect_signals()
    try:
        for name in names:
            servers.append(start[name](host))
        for server in servers:
            wait_for_answer(server, signals)
        record_servers(addresses_of(servers))
        if not signals:
            typer.echo(f"Ctrl-C stops {' and '.join(names)}")
        wait_until(lambda: signals or any(s.process.poll() is not None for s in servers), every=0.2)
        if not signals:
            typer.echo("study: a server ended by itself", err=True)
            sys.exit(1)
    finally:
        forget_servers(addresses_of(servers))
        stop_servers(servers)


def _collect_signals() -> list[int]:
    """A list to which every signal to stop is added. Signals interrupt nothing from now on."""
    received: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # a background shell ignores SIGINT, nohup SIGHUP
        if number != signal.SIGHUP or signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, lambda number, _: received.append(number))
    return received
