"""``study ui``: the pages of MLflow and Prefect, found where they run or started here."""

import importlib.util
import os
import signal
import sys
import time
from collections.abc import Callable

import typer

from flows.page_servers import Page, addresses_of, start_mlflow, start_prefect, stop, wait
from flows.server import HEALTH, is_loopback, running, silence
from models.specs import ConfigError
from tasks.addresses import without_credentials
from tasks.announcements import announce, withdraw
from tasks.mlflow_config import mlflow_config, page_address, tracking_uri
from tasks.tracking.client import connect, tracking

ELSEWHERE_SECONDS = 10.0
CHOSEN_BY = {
    "MLflow": "MLFLOW_TRACKING_URI or tracking_uri in mlflow.yaml",
    "Prefect": "PREFECT_API_URL",
}


def serve_pages() -> None:
    """Print where the pages are. Start those that nobody serves, and stop these on Ctrl-C."""
    found = {name: _elsewhere(name) or running(name) for name in HEALTH}
    missing = [name for name, address in found.items() if address is None]
    host = mlflow_config().ui.host
    if missing and not is_loopback(host):
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
    start: dict[str, Callable[[str], Page]] = {"MLflow": start_mlflow, "Prefect": start_prefect}
    pages: list[Page] = []
    if "MLflow" in names:
        with tracking("does not open"):
            connect()
    signals = _collect_signals()
    try:
        for name in names:
            pages.append(start[name](host))
        for page in pages:
            wait(page, signals)
        announce(addresses_of(pages))
        if not signals:
            typer.echo(f"Ctrl-C stops {' and '.join(names)}")
        while not signals and all(page.process.poll() is None for page in pages):
            time.sleep(0.2)
        if not signals:
            typer.echo("study: a page server ended by itself", err=True)
            sys.exit(1)
    finally:
        withdraw(addresses_of(pages))
        stop([page.process for page in pages])


def _collect_signals() -> list[int]:
    """A list that grows with every signal to stop: none of them interrupts what is going on."""
    received: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # a background shell ignores SIGINT, nohup SIGHUP
        if number != signal.SIGHUP or signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, lambda number, _: received.append(number))
    return received
