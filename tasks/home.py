"""Where things lie: STUDY_HOME holds all that is generated, STUDY_DATA the downloaded datasets."""

import os
import re
from pathlib import Path

from models.specs import ConfigError

# A database's address ends at a question mark; the others are bytes that are no text.
NOT_IN_ADDRESSES = re.compile("[?\ud800-\udfff]")


def study_home() -> Path:
    """``STUDY_HOME``, default ``./results``, absolute.

    Raises ConfigError for a folder that no database can lie in.
    """
    home = Path(os.environ.get("STUDY_HOME") or "results").absolute()
    if NOT_IN_ADDRESSES.search(str(home)):
        raise ConfigError(
            f"STUDY_HOME: {str(home)!r} holds '?' or bytes that are not UTF-8; name another folder"
        )
    return home


def study_data() -> Path:
    """``STUDY_DATA``, default ``./data``, absolute."""
    return Path(os.environ.get("STUDY_DATA") or "data").absolute()


def report_page(study: str) -> Path:
    """Where the newest report of a study lies, or would."""
    return study_home() / "reports" / study / "index.html"
