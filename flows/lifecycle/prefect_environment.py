"""Variables that Prefect reads when it is imported, and its errors in one line."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from models.specs import ConfigError
from tasks.system.addresses import without_credentials
from tasks.system.folders import study_home

OR_UNSET = "unset PREFECT_API_URL to use an embedded one"
LOOPBACK = "127.0.0.1,localhost,::1"


def prepare_environment() -> None:
    """Set variables: Prefect's files are below STUDY_HOME, its console is quiet, no telemetry.

    Variables that are already set win. Servers of this machine are reached without a proxy. Raises
    ConfigError if STUDY_HOME cannot be written, or if the folder of a report is a link.
    """
    home = study_home() / "prefect"
    try:
        home.mkdir(parents=True, exist_ok=True)  # Prefect does not create the parents
        tempfile.TemporaryFile(dir=study_home()).close()
    except OSError as error:
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
    """Raise ConfigError, of one line, if Prefect's server does not answer or refuses."""
    from httpx import HTTPError, HTTPStatusError

    try:
        yield
    except HTTPStatusError as error:
        status = error.response.status_code
        advice = "set PREFECT_API_AUTH_STRING to its password, or " if status in {401, 403} else ""
        answer = f"{without_credentials(str(error.request.url))} answers with {status}"
        raise ConfigError(f"Prefect: {answer}; {advice}{OR_UNSET}") from None
    except (RuntimeError, HTTPError) as error:
        if isinstance(error, RuntimeError) and "Failed to reach API" not in str(error):
            raise
        why = str(error) or type(error).__name__
        raise ConfigError(f"Prefect: {why}; start that server, or {OR_UNSET}") from None
