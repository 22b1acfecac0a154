"""Hand the finished report to its readers: the reports folder and the parent run in MLflow."""

import os
import shutil
import tempfile
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
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as temporary:
            shutil.copyfileobj(page.path(name).open("rb"), temporary)
        os.replace(temporary.name, folder / name)
        (folder / name).chmod(0o644)
    tracker.log_summary(page, groups)
