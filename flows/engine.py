"""Settings of Prefect that must stand before it is imported, and its errors in one line."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from models.specs import ConfigError
from tasks.home import study_home


def prepare_environment() -> None:
    """Keep Prefect's files below STUDY_HOME, its console quiet, its telemetry off.

    Variables that are already set win. Raises ConfigError if a report's place leads elsewhere.
    """
    for path in (study_home() / "reports").glob("*"):
        if path.is_symlink():
            raise ConfigError(
                f"{path} is a link, and a report replaces all that lies there; move it away"
            )
    home = study_home() / "prefect"
    home.mkdir(parents=True, exist_ok=True)  # prefect itself creates no parents
    defaults = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
        # the server's database complains when it is stopped
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


@contextmanager
def reaching_prefect() -> Iterator[None]:
    """Raise ConfigError where Prefect's server does not answer, or refuses."""
    from httpx import HTTPError

    try:
        yield
    except (RuntimeError, HTTPError) as error:
        if isinstance(error, RuntimeError) and "Failed to reach API" not in str(error):
            raise
        raise ConfigError(
            f"Prefect: {error}; start that server, or unset PREFECT_API_URL to use an embedded one"
        ) from None
