"""The addresses of the servers that run for this STUDY_HOME, in its file ``servers.json``."""

import json
from pathlib import Path

from tasks.system.folders import study_home


def _servers_file() -> Path:
    return study_home() / "servers.json"


def running_servers() -> dict[str, str]:
    """Addresses by name of server. A server that was killed may still be among them."""
    try:
        return dict(json.loads(_servers_file().read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def record_servers(addresses: dict[str, str]) -> None:
    """Add the addresses of running servers, by name, so that other processes find them."""
    _servers_file().parent.mkdir(parents=True, exist_ok=True)
    _servers_file().write_text(json.dumps(running_servers() | addresses), encoding="utf-8")


def forget_servers(addresses: dict[str, str]) -> None:
    """Remove the addresses of servers that are about to stop."""
    left = dict(running_servers().items() - addresses.items())
    if left:
        _servers_file().write_text(json.dumps(left), encoding="utf-8")
    else:
        _servers_file().unlink(missing_ok=True)
