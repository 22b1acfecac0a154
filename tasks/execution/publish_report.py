"""Hand the finished report to its readers: the reports folder and the parent run in MLflow."""

import html
import os
import shutil
import time

from tasks.cache.entry import Entry
from tasks.cache.store import ensure_local
from tasks.reporting.page import PAGE, fill_page
from tasks.system.folders import report_page
from tasks.tracking.tracker import Tracker


def publish_report(
    study: str,
    page: Entry,
    groups: dict[str, list[Entry]],
    tracker: Tracker,
    computed: set[str],
) -> None:
    """Copy the page and its tables into ``reports/<study>/``, log them to the parent run."""
    page = ensure_local(page)
    folder = report_page(study).parent
    folder.mkdir(parents=True, exist_ok=True)
    note = _note(tracker.invocation, groups, computed)
    text = fill_page(page, tracker.addresses, note)
    for name in page.files:
        temporary = folder / f".{name}.{os.getpid()}"  # the same study may end twice at once
        if name == PAGE:
            temporary.write_text(text, encoding="utf-8")
        else:
            shutil.copy(page.path(name), temporary)
        temporary.replace(folder / name)
    for left in folder.iterdir():  # of an earlier run that showed more
        if left.is_file() and not left.name.startswith(".") and left.name not in page.files:
            left.unlink(missing_ok=True)
    tracker.log_summary(page, groups, note)


def _note(invocation: str, groups: dict[str, list[Entry]], computed: set[str]) -> str:
    """Which run wrote the page, and what it took from the cache."""
    names = [entry.name for entries in groups.values() for entry in entries]
    new = [html.escape(name) for name in names if name in computed]
    moment = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    text = f"<p>Written on {moment} by the run {html.escape(invocation)}: "
    text += f"{len(names) - len(new)} of {len(names)} tasks came from the cache.</p>"
    if new:
        listed = "</li><li>".join(new)
        text += (
            f"<details><summary>{len(new)} computed</summary><ul><li>{listed}</li></ul></details>"
        )
    return text
