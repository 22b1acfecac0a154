"""A Prefect server that runs on this machine for this STUDY_HOME."""

import os
import urllib.error
import urllib.request
from pathlib import Path

from tasks.home import study_home

SECONDS = 1.0


def _note() -> Path:
    return study_home() / "prefect" / "server.url"


def announce(url: str) -> None:
    """Write down where a server listens, for the runs that start while it does."""
    _note().parent.mkdir(parents=True, exist_ok=True)
    _note().write_text(url, encoding="utf-8")


def withdraw() -> None:
    """The server is about to stop."""
    _note().unlink(missing_ok=True)


def use_running_server() -> None:
    """Send this process to the announced server if it answers, unless PREFECT_API_URL is set.

    An embedded server takes five seconds to start.
    """
    if "PREFECT_API_URL" in os.environ or not _note().is_file():
        return
    api = _note().read_text(encoding="utf-8").strip() + "/api"
    try:
        with urllib.request.urlopen(f"{api}/health", timeout=SECONDS):
            os.environ["PREFECT_API_URL"] = api
    except (OSError, urllib.error.URLError, ValueError):
        withdraw()  # it ended without a word
