"""Hand the finished report to its readers: the reports folder and the parent run in MLflow."""

import html
import os
import re
import shutil
import time

from tasks.home import report_page
from tasks.report import PAGE
from tasks.store import Entry
from tasks.tracking.runs import Tracker

RUN_LINK = re.compile(r' href="run:([0-9a-f]+)"')
INVOCATION = "<!-- invocation -->"


def publish_report(
    study: str,
    page: Entry,
    groups: dict[str, list[Entry]],
    tracker: Tracker,
    computed: set[str],
) -> None:
    """Copy the page and its tables into ``reports/<study>/``, log them to the parent run.

    The page is cached like any result, so what belongs to one invocation is filled in here: links
    to MLflow's runs, and which tasks were computed.
    """
    folder = report_page(study).parent
    folder.mkdir(parents=True, exist_ok=True)
    text = page.path(PAGE).read_text(encoding="utf-8")
    text = text.replace(INVOCATION, _invocation(tracker, groups, computed))
    text = RUN_LINK.sub(lambda found: _link(tracker, found[1]), text)
    for name in page.files:
        temporary = folder / f".{name}.{os.getpid()}"  # the same study may end twice at once
        if name == PAGE:
            temporary.write_text(text, encoding="utf-8")
        else:
            shutil.copy(page.path(name), temporary)
        temporary.replace(folder / name)
    for left in folder.iterdir():  # of an earlier run that showed more
        if not left.name.startswith(".") and left.name not in page.files:
            left.unlink(missing_ok=True)
    tracker.log_summary(page, text, groups)


def _invocation(tracker: Tracker, groups: dict[str, list[Entry]], computed: set[str]) -> str:
    """Which run wrote the page, and what it took from the cache."""
    names = [entry.name for entries in groups.values() for entry in entries]
    new = [html.escape(name) for name in names if name in computed]
    moment = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    text = f"Written on {moment} by the run {html.escape(tracker.invocation)}: "
    text += f"{len(names) - len(new)} of {len(names)} tasks came from the cache"
    address = html.escape(tracker.run_address(tracker.parent_id))
    text = f'<p>{text}. <a href="{address}">The run in MLflow</a> (while its page is up).</p>'
    if new:
        listed = "</li><li>".join(new)
        text += (
            f"<details><summary>{len(new)} computed</summary><ul><li>{listed}</li></ul></details>"
        )
    return text


def _link(tracker: Tracker, key: str) -> str:
    """The attribute that links to the run of an entry; empty if there is no such run."""
    run = tracker.find(key)
    return f' href="{html.escape(tracker.run_address(run.info.run_id))}"' if run else ""
