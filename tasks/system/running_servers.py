"""Where the servers of pages listen that run for this STUDY_HOME, in ``servers.json``."""

import json
from pathlib import Path

from tasks.system.folders import study_home


def _note() -> Path:
    return study_home() / "servers.json"


def running_servers() -> dict[str, str]:
    """Addresses by name, of servers that run, or were killed."""
    try:
        return dict(json.loads(_note().read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def record_servers(addresses: dict[str, str]) -> None:
    """Write down where servers listen, by name, for what starts while they do."""
    _note().parent.mkdir(parents=True, exist_ok=True)
    _note().write_text(json.dumps(running_servers() | addresses), encoding="utf-8")


def forget_servers(addresses: dict[str, str]) -> None:
    """These servers are about to stop."""
    left = dict(running_servers().items() - addresses.items())
    if left:
        _note().write_text(json.dumps(left), encoding="utf-8")
    else:
        _note().unlink(missing_ok=True)
