"""The addresses of the servers that run for this STUDY_HOME, in its file ``servers.json``."""

import json
import os
import warnings
from pathlib import Path

from filelock import FileLock

from tasks.system.files import read_regular_file
from tasks.system.folders import study_home

MOST_BYTES = 65_536
HOME = "STUDY_HOME"  # in the file: the folder that the servers use


def _servers_file() -> Path:
    return study_home() / "servers.json"


def running_servers() -> dict[str, str]:
    """Addresses by name of server. A server that was killed may still be among them.

    Those of the folder that this STUDY_HOME was copied or moved from are not: they use that folder.
    What is not an address of a server on the web is left out, and so is a damaged file.
    """
    try:
        found = json.loads(read_regular_file(_servers_file(), MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict) or found.pop(HOME, _home()) != _home():
        return {}
    return {
        name: address
        for name, address in found.items()
        if isinstance(address, str) and address.startswith(("http://", "https://"))
    }


def _home() -> str:
    return str(study_home().resolve())


def record_servers(addresses: dict[str, str]) -> None:
    """Add the addresses of running servers, by name, so that other processes find them."""
    _servers_file().parent.mkdir(parents=True, exist_ok=True)
    with _lock():
        _write(running_servers() | addresses)


def forget_servers(addresses: dict[str, str]) -> None:
    """Remove the addresses of servers that are about to stop."""
    if not os.path.lexists(_servers_file()):
        return
    with _lock():
        _write(dict(running_servers().items() - addresses.items()))


def _lock() -> FileLock:
    return FileLock(study_home() / "servers.lock")


def _write(addresses: dict[str, str]) -> None:
    """Replace the file as a whole, whatever it is: a write into a named pipe would not end."""
    try:
        if not addresses:
            _servers_file().unlink(missing_ok=True)
            return
        temporary = _servers_file().with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(addresses | {HOME: _home()}), encoding="utf-8")
        temporary.replace(_servers_file())
    except OSError as error:  # the servers run, and their addresses were printed
        warnings.warn(
            f"other commands do not find these servers: cannot write {_servers_file()} "
            f"({error.strerror})",
            stacklevel=2,
        )
