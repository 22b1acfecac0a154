"""Where things lie: STUDY_HOME holds all that is generated, STUDY_DATA the downloaded datasets."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

DEFAULTS = {"STUDY_HOME": "results", "STUDY_DATA": "data"}
_elsewhere: ContextVar[dict[str, str]] = ContextVar("_elsewhere", default=DEFAULTS)


def _folder(variable: str) -> Path:
    return Path(os.environ.get(variable) or _elsewhere.get()[variable]).absolute()


def study_home() -> Path:
    """``STUDY_HOME``, default ``./results``, absolute."""
    return _folder("STUDY_HOME")


def study_data() -> Path:
    """``STUDY_DATA``, default ``./data``, absolute."""
    return _folder("STUDY_DATA")


def folders() -> dict[str, str]:
    """Both, by variable."""
    return {variable: str(_folder(variable)) for variable in DEFAULTS}


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
