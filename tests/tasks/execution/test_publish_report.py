from types import SimpleNamespace

import pytest

from tasks.cache import store
from tasks.cache.entry import Entry, files_in
from tasks.execution.publish_report import publish_report
from tasks.reporting.page import NOTE_PLACE, PAGE
from tasks.system.folders import report_path

INVOCATION = "20260102-030405-000000-<smoke>-ab"


def entry(task, key, name, **files):
    """An entry in the store with these files, by name without ending."""
    with store.workspace(task, key) as folder:
        for stem, text in files.items():
            (folder / f"{stem}.{'html' if stem == 'index' else 'csv'}").write_text(text)
        nothing = {"inputs": {}, "code": {}, "result": {}, "provenance": {}}
        made = Entry(task=task, key=key, name=name, files=files_in(folder), seconds=1.0, **nothing)
        store.publish(folder, made)
    return made


@pytest.fixture
def published():
    """Publishes a page with these tables; the summaries that MLflow gets."""
    summaries = []
    tracker = SimpleNamespace(
        invocation=INVOCATION,
        addresses=lambda keys: {"": "http://mlflow/run"},
        log_summary=lambda *arguments: summaries.append(arguments),
    )
    groups = {
        "train": [
            entry("train", f"key_{n}", f"train[{name}]") for n, name in enumerate(("<a>", "b"))
        ],
        "pca": [entry("pca", "p", "pca[digits]")],
    }

    def publish(key, computed=(), **tables):
        page = entry("report", key, "report[smoke]", index=f"<h1>Smoke</h1>{NOTE_PLACE}", **tables)
        publish_report("smoke", page, groups, tracker, set(computed))
        return report_path("smoke").parent, summaries, (page, groups)

    return publish


def test_the_page_says_what_this_invocation_computed(published):
    folder, summaries, shown = published("one", computed={"train[<a>]"}, models="depth,loss")
    text = (folder / PAGE).read_text()
    assert "<h1>Smoke</h1>" in text
    assert "2 of 3 tasks came from the cache" in text
    assert "<summary>1 computed</summary><ul><li>train[&lt;a&gt;]</li></ul>" in text
    assert "-&lt;smoke&gt;-ab" in text
    assert 'href="http://mlflow/run"' in text
    assert (folder / "models.csv").read_text() == "depth,loss"
    ((page, groups, note),) = summaries
    assert (page, groups) == shown
    assert note["computed"] == ["train[<a>]"]
    assert f"<p>Written on {note['written']} by" in text


def test_without_computed_tasks_there_is_no_list(published):
    folder, _, _ = published("one")
    text = (folder / PAGE).read_text()
    assert "3 of 3 tasks came from the cache" in text
    assert "<details>" not in text


def test_a_report_replaces_the_files_of_an_earlier_one(published):
    folder, _, _ = published("one", models="old", transfer="old")
    (folder / ".hidden").touch()
    (folder / "own").mkdir()
    published("two", models="new")
    assert {path.name for path in folder.iterdir()} == {PAGE, "models.csv", ".hidden", "own"}
    assert (folder / "models.csv").read_text() == "new"
