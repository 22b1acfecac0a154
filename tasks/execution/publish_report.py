"""Publishes the finished report: in the reports folder, and on the parent run in MLflow."""

import os
import shutil
import time

from tasks.cache.entry import Entry
from tasks.cache.store import ensure_local
from tasks.reporting.page import PAGE, PageNote, fill_page
from tasks.system.folders import report_path
from tasks.tracking.tracker import Tracker


def publish_report(
    study: str,
    page: Entry,
    groups: dict[str, list[Entry]],
    tracker: Tracker,
    computed: set[str],
) -> None:
    """Copy the page and its tables to ``reports/<study>/``, and log them to the parent run."""
    page = ensure_local(page)
    folder = report_path(study).parent
    folder.mkdir(parents=True, exist_ok=True)
    names = [entry.name for entries in groups.values() for entry in entries]
    note: PageNote = {
        "invocation": tracker.invocation,
        "written": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "tasks": len(names),
        "computed": [name for name in names if name in computed],
    }
    text = fill_page(page, tracker.addresses, note)
    for name in page.files:
        temporary = folder / f".{name}.{os.getpid()}"  # two runs of a study may end at once
        if name == PAGE:
            temporary.write_text(text, encoding="utf-8")
        else:
            shutil.copy(page.path(name), temporary)
        temporary.replace(folder / name)
    for old in folder.iterdir():  # an earlier report may have had more files
        if old.is_file() and not old.name.startswith(".") and old.name not in page.files:
            old.unlink(missing_ok=True)
    tracker.log_summary(page, groups, note)
