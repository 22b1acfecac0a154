"""Variables that Prefect reads when it is imported, and its errors in one line."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.specs import ConfigError
from tasks.system.addresses import without_credentials
from tasks.system.disk_errors import DISK_ERRORS, DiskError, disk_reason
from tasks.system.folders import study_home

OR_UNSET = "unset PREFECT_API_URL to use an embedded one"
LOOPBACK = "127.0.0.1,localhost,::1"

_has_own_server = False  # whether the user named a Prefect server


def prepare_environment() -> None:
    """Set variables: Prefect's files are below STUDY_HOME, its console is quiet, no telemetry.

    Variables that are already set win. Servers of this machine are reached without a proxy. Raises
    ConfigError if STUDY_HOME cannot be written, DiskError if the reason is its disk; ConfigError if
    the folder of a report is a link.
    """
    global _has_own_server
    _has_own_server = "PREFECT_API_URL" in os.environ
    home = study_home() / "prefect"
    try:
        home.mkdir(parents=True, exist_ok=True)  # Prefect does not create the parents
        tempfile.TemporaryFile(dir=study_home()).close()
    except OSError as error:
        if error.errno in DISK_ERRORS:
            raise DiskError(disk_reason(error)) from None
        raise ConfigError(
            f"STUDY_HOME: nothing can be written below {study_home()}: {error.strerror}"
        ) from None
    for path in (study_home() / "reports").glob("*"):
        if path.is_symlink():
            raise ConfigError(
                f"{path} is a link, and a report replaces every file in it; remove the link"
            )
    defaults = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_LOGGERS_PREFECT_FLOW_RUNS_LEVEL": "INFO",  # on Prefect's page
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
        # the database of the server logs errors when the server stops
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    without_proxy = os.environ.get("no_proxy", os.environ.get("NO_PROXY", ""))
    if without_proxy != "*" and LOOPBACK not in without_proxy:
        both = f"{without_proxy},{LOOPBACK}".lstrip(",")
        os.environ |= {"no_proxy": both, "NO_PROXY": both}


@contextmanager
def report_prefect_errors() -> Iterator[None]:
    """Raise ConfigError, of one line, if Prefect's server does not answer or refuses.

    Raises DiskError if the server runs here and cannot write its database, or if the error comes
    after a DiskError.
    """
    from httpx import HTTPError

    try:
        yield
    except (RuntimeError, HTTPError) as error:
        is_prefects = isinstance(error, HTTPError) or "Failed to reach API" in str(error)
        if isinstance(error, DiskError) or not is_prefects:
            raise
        if reason := disk_reason(error, *prefect_folders()):
            raise DiskError(reason) from error
        raise ConfigError(f"Prefect: {_advice(error)}") from None


def prefect_folders() -> list[Path]:
    """The folder of the database of the Prefect server that was started for this STUDY_HOME."""
    return [] if _has_own_server else [Path(os.environ["PREFECT_HOME"])]


def _advice(error: Exception) -> str:
    """What a server did wrong, and what to do."""
    from httpx import HTTPStatusError

    other = OR_UNSET if _has_own_server else "run the same command again"
    if not isinstance(error, HTTPStatusError):
        start = "start that server, or " if _has_own_server else ""
        return f"{str(error) or type(error).__name__}; {start}{other}"
    status = error.response.status_code
    password = "set PREFECT_API_AUTH_STRING to its password, or " if status in {401, 403} else ""
    address = without_credentials(str(error.request.url))
    return f"{address} answers with {status}; {password}{other}"
