"""Checks whether servers answer, and finds those that `study ui` or `study serve` started."""

import ipaddress
import os
import urllib.error
import urllib.request
from http.client import HTTPException

from models.specs import ConfigError
from tasks.system.running_servers import running_servers

ANSWER_SECONDS = 1.0
HEALTH = {"MLflow": "/health", "Prefect": "/api/health"}  # these need no password


def find_running_server(name: str) -> str | None:
    """The address of the MLflow or Prefect server that runs for this STUDY_HOME, if it answers."""
    address = running_servers().get(name)
    return address if address and not why_unreachable(address + HEALTH[name]) else None


def why_unreachable(url: str, seconds: float = ANSWER_SECONDS) -> str:
    """Why no server answers at this URL within so many seconds.

    Empty if one answers, also if it requires a password.
    """
    try:
        with urllib.request.urlopen(url, timeout=seconds):
            return ""
    except urllib.error.HTTPError as error:
        return "" if error.code in {401, 403} else str(error)
    except urllib.error.URLError as error:
        return str(error.reason)
    except (OSError, ValueError, HTTPException) as error:
        return str(error) or type(error).__name__


def is_loopback(host: str | None) -> bool:
    """Whether only this machine can reach the host."""
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def use_running_prefect() -> None:
    """Set PREFECT_API_URL to a Prefect server of this STUDY_HOME, if one answers and it is not set.

    Otherwise an embedded server starts, which takes five seconds. Raises ConfigError if the server
    requires a password that is not set.
    """
    if "PREFECT_API_URL" in os.environ:
        return
    address = find_running_server("Prefect")
    if address is None:
        return
    if "PREFECT_API_AUTH_STRING" not in os.environ and _requires_password(address):
        raise ConfigError(
            f"the Prefect server at {address} requires a password: set PREFECT_API_AUTH_STRING "
            "to its PREFECT_SERVER_API_AUTH_STRING"
        )
    os.environ["PREFECT_API_URL"] = f"{address}/api"


def _requires_password(prefect: str) -> bool:
    try:
        with urllib.request.urlopen(f"{prefect}/api/admin/version", timeout=ANSWER_SECONDS):
            return False
    except OSError as error:
        return getattr(error, "code", None) == 401
