"""The addresses of the servers that run for this STUDY_HOME, in its file ``servers.json``."""

import json
from pathlib import Path

from tasks.system.folders import study_home

HOME = "STUDY_HOME"  # in the file: the folder that the servers use


def _servers_file() -> Path:
    return study_home() / "servers.json"


def running_servers() -> dict[str, str]:
    """Addresses by name of server. A server that was killed may still be among them.

    Those of the folder that this STUDY_HOME was copied or moved from are not: they use that folder.
    """
    try:
        found = dict(json.loads(_servers_file().read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return {}
    return found if found.pop(HOME, _home()) == _home() else {}


def _home() -> str:
    return str(study_home().resolve())


def _write(addresses: dict[str, str]) -> None:
    _servers_file().write_text(json.dumps(addresses | {HOME: _home()}), encoding="utf-8")


def record_servers(addresses: dict[str, str]) -> None:
    """Add the addresses of running servers, by name, so that other processes find them."""
    _servers_file().parent.mkdir(parents=True, exist_ok=True)
    _write(running_servers() | addresses)


def forget_servers(addresses: dict[str, str]) -> None:
    """Remove the addresses of servers that are about to stop."""
    left = dict(running_servers().items() - addresses.items())
    if left:
        _write(left)
    else:
        _servers_file().unlink(missing_ok=True)
