"""Hand the finished report to its readers: the reports folder and the parent run in MLflow."""

import os
import shutil
from pathlib import Path

from tasks.home import study_home
from tasks.report import PAGE
from tasks.store import Entry
from tasks.tracking import Tracker


def report_page(study: str) -> Path:
    """Where the newest report of a study lies, or would."""
    return study_home() / "reports" / study / PAGE


def publish_report(
    study: str, page: Entry, groups: dict[str, list[Entry]], tracker: Tracker
) -> None:
    """Copy the page and its tables into ``reports/<study>/``, log them to the parent run."""
    folder = report_page(study).parent
    folder.mkdir(parents=True, exist_ok=True)
    for name in page.files:
        temporary = folder / f".{name}.{os.getpid()}"  # the same study may end twice at once
        shutil.copy(page.path(name), temporary)
        temporary.replace(folder / name)
    tracker.log_summary(page, groups)
