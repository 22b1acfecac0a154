"""The folders of a study: STUDY_HOME for all results, STUDY_DATA for downloaded datasets.

STUDY_STORE is the shared store of a team.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from models.specs import ConfigError

STUDY_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"  # it names folders and an experiment
DEFAULTS = {"STUDY_HOME": "results", "STUDY_DATA": "data", "STUDY_STORE": ""}
# The address of a database ends at "?"; a surrogate is a byte of a file name that is not UTF-8.
NOT_IN_ADDRESSES = re.compile("[?\ud800-\udfff]")
_default_folders: ContextVar[dict[str, str]] = ContextVar("_default_folders", default=DEFAULTS)


def _setting(variable: str) -> str:
    return os.environ.get(variable) or _default_folders.get()[variable]


def study_home() -> Path:
    """``STUDY_HOME``, default ``./results``, absolute.

    Raises ConfigError for a folder whose name cannot be part of a database address.
    """
    home = Path(_setting("STUDY_HOME")).absolute()
    if NOT_IN_ADDRESSES.search(str(home)):
        raise ConfigError(
            f"STUDY_HOME: {str(home)!r} contains '?' or bytes that are not UTF-8; "
            "choose another folder"
        )
    return home


def study_data() -> Path:
    """``STUDY_DATA``, default ``./data``, absolute."""
    return Path(_setting("STUDY_DATA")).absolute()


def shared_store_address() -> str:
    """``STUDY_STORE``, a folder or an address such as ``s3://bucket/folder``; empty if not set."""
    address = _setting("STUDY_STORE")
    return address if "://" in address or not address else str(Path(address).absolute())


def folder_variables() -> dict[str, str]:
    """STUDY_HOME, STUDY_DATA and STUDY_STORE, by variable. Raises ConfigError as study_home."""
    found = {"STUDY_HOME": str(study_home()), "STUDY_DATA": str(study_data())}
    return found | {"STUDY_STORE": shared_store_address()}


@contextmanager
def default_folders(folders: dict[str, str]) -> Iterator[None]:
    """Use these folders, by variable, where the environment sets none. Only inside ``with``."""
    token = _default_folders.set(folders)
    try:
        yield
    finally:
        _default_folders.reset(token)


def check_report_folder(study: str) -> None:
    """Raise ConfigError if a study's name differs from that of another only in case.

    Where file names have no case, as on macOS, the reports of both would be in one folder.
    """
    names = {path.name for path in report_path(study).parents[1].glob("*")}
    others = [name for name in names - {study} if name.casefold() == study.casefold()]
    if others and study not in names:
        raise ConfigError(
            f"name: {study!r} differs only in case from {others[0]!r}, which has a report in "
            f"STUDY_HOME; choose {others[0]!r} or another name"
        )


def report_path(study: str) -> Path:
    """The path of a study's newest report, whether it exists or not."""
    return study_home() / "reports" / study / "index.html"
