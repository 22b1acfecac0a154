"""Where things lie: STUDY_HOME holds all that is generated, STUDY_DATA the downloaded datasets.

STUDY_STORE is where a team shares what is computed.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from models.specs import ConfigError

DEFAULTS = {"STUDY_HOME": "results", "STUDY_DATA": "data", "STUDY_STORE": ""}
# A database's address ends at a question mark; the others are bytes that are no text.
NOT_IN_ADDRESSES = re.compile("[?\ud800-\udfff]")
_elsewhere: ContextVar[dict[str, str]] = ContextVar("_elsewhere", default=DEFAULTS)


def _named(variable: str) -> str:
    return os.environ.get(variable) or _elsewhere.get()[variable]


def study_home() -> Path:
    """``STUDY_HOME``, default ``./results``, absolute.

    Raises ConfigError for a folder that no database can lie in.
    """
    home = Path(_named("STUDY_HOME")).absolute()
    if NOT_IN_ADDRESSES.search(str(home)):
        raise ConfigError(
            f"STUDY_HOME: {str(home)!r} holds '?' or bytes that are not UTF-8; name another folder"
        )
    return home


def study_data() -> Path:
    """``STUDY_DATA``, default ``./data``, absolute."""
    return Path(_named("STUDY_DATA")).absolute()


def shared_store_address() -> str:
    """``STUDY_STORE``, a folder or an address such as ``s3://bucket/folder``; empty if not set."""
    named = _named("STUDY_STORE")
    return named if "://" in named or not named else str(Path(named).absolute())


def folders() -> dict[str, str]:
    """All of these, by variable."""
    found = {"STUDY_HOME": str(study_home()), "STUDY_DATA": str(study_data())}
    return found | {"STUDY_STORE": shared_store_address()}


@contextmanager
def default_folders(folders: dict[str, str]) -> Iterator[None]:
    """In here these are the folders that the environment does not name."""
    token = _elsewhere.set(folders)
    try:
        yield
    finally:
        _elsewhere.reset(token)


def report_page(study: str) -> Path:
    """Where the newest report of a study lies, or would."""
    return study_home() / "reports" / study / "index.html"
