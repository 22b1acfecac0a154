"""Where things lie: STUDY_HOME holds all that is generated, STUDY_DATA the downloaded datasets."""

import os
from pathlib import Path


def study_home() -> Path:
    """``STUDY_HOME``, default ``./results``, absolute."""
    return Path(os.environ.get("STUDY_HOME") or "results").absolute()


def study_data() -> Path:
    """``STUDY_DATA``, default ``./data``, absolute."""
    return Path(os.environ.get("STUDY_DATA") or "data").absolute()


def report_page(study: str) -> Path:
    """Where the newest report of a study lies, or would."""
    return study_home() / "reports" / study / "index.html"
