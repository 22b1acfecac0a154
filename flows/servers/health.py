"""Whether servers answer, and which of those that run for this STUDY_HOME to use."""

import ipaddress
import os
import urllib.error
import urllib.request
from http.client import HTTPException

from models.specs import ConfigError
from tasks.system.running_servers import running_servers

SECONDS = 1.0
HEALTH = {"MLflow": "/health", "Prefect": "/api/health"}  # both answer without a password


def find_running(name: str) -> str | None:
    """Address of the server that runs for this STUDY_HOME under this name, if it answers."""
    address = running_servers().get(name)
    return address if address and not why_unreachable(address + HEALTH[name]) else None


def why_unreachable(url: str, seconds: float = SECONDS) -> str:
    """Why no server answers there; empty if one does, if only to ask for a password."""
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
    """Whether only this machine reaches the address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def use_running_prefect() -> None:
    """Send this process to the server of `study ui` if it answers, unless PREFECT_API_URL is set.

    An embedded server takes five seconds to start. Raises ConfigError if a password is missing.
    """
    if "PREFECT_API_URL" in os.environ:
        return
    address = find_running("Prefect")
    if address is None:
        return
    if "PREFECT_API_AUTH_STRING" not in os.environ and _asks_for_password(address):
        raise ConfigError(
            f"the Prefect server at {address} asks for a password: set PREFECT_API_AUTH_STRING "
            "to its PREFECT_SERVER_API_AUTH_STRING"
        )
    os.environ["PREFECT_API_URL"] = f"{address}/api"


def _asks_for_password(prefect: str) -> bool:
    try:
        with urllib.request.urlopen(f"{prefect}/api/admin/version", timeout=SECONDS):
            return False
    except OSError as error:
        return getattr(error, "code", None) == 401
