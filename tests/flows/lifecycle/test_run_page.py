import logging
import warnings
from contextlib import contextmanager
from types import SimpleNamespace
from uuid import uuid4

import pytest
from prefect.exceptions import FailedRun, ObjectNotFound

from flows.lifecycle import run_page
from flows.lifecycle.run_page import (
    end_skipped_tasks,
    results_markdown,
    run_log,
    show_results,
    without_failed_run,
)
from tests.tasks.tracking.conftest import ENTRY

VERDICTS = [
    {
        "claim": "deeper is | better",
        "outcome": "confirmed",
        "trend": {"outcome": "confirmed"},
        "every_step": {"outcome": "refuted"},
        "reason": "",
    }
]


@pytest.fixture
def lines(monkeypatch):
    """What is logged, as level and text."""
    found = []
    logger = SimpleNamespace(
        log=lambda level, text: found.append((level, text)),
        warning=lambda text: found.append((logging.WARNING, text)),
    )
    monkeypatch.setattr(run_page, "get_run_logger", lambda: logger)
    return found


def test_lines_and_warnings_are_logged_while_the_run_lasts(lines):
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        before = warnings.showwarning
        with run_log() as log_line:
            log_line(logging.INFO, "train[x] done")
            warnings.warn("slow\ndisk", stacklevel=1)
        assert warnings.showwarning is before
        warnings.warn("later", stacklevel=1)
    assert lines == [(logging.INFO, "train[x] done"), (logging.WARNING, r"slow\ndisk")]
    assert [str(one.message) for one in shown] == ["slow\ndisk", "later"]


def test_the_traceback_of_a_failed_run_is_not_logged():
    def of(error):
        return logging.makeLogRecord({"msg": "x", "exc_info": (type(error), error, None)})

    assert not without_failed_run(of(FailedRun("1 of 3 failed")))
    assert without_failed_run(of(OSError("disk is full")))
    assert without_failed_run(logging.makeLogRecord({"msg": "train[x] done"}))


@pytest.fixture
def client(monkeypatch):
    """A server that knows the task run from the second question on."""
    states, asked = {"names": {}}, []

    def set_task_run_state(identifier, state, force):
        asked.append(identifier)
        if asked.count(identifier) == 1:
            raise ObjectNotFound(Exception())
        states[identifier] = (state.type, state.name, state.message, force)

    @contextmanager
    def get_client(sync_client):
        yield SimpleNamespace(
            set_task_run_state=set_task_run_state, set_task_run_name=states["names"].__setitem__
        )

    monkeypatch.setattr(run_page, "get_client", get_client)
    return states


def test_a_skipped_task_ends_and_says_why(client):
    first, second = uuid4(), uuid4()
    reasons = "train[x] did not complete", "pca[x] did not complete"
    end_skipped_tasks({first: ("evaluate[x]", reasons[0]), second: ("report[x]", reasons[1])})
    assert client == {
        "names": {first: "evaluate[x]", second: "report[x]"},
        first: ("CANCELLED", "Skipped", "train[x] did not complete", True),
        second: ("CANCELLED", "Skipped", "pca[x] did not complete", True),
    }


def test_the_results_are_verdicts_models_and_links():
    text = results_markdown(
        "mnist", [], "3 seeds", VERDICTS, [ENTRY], {"": "http://m/1", "key": "http://m/2"}
    )
    assert "[Report](http://m/1/artifacts/index.html) and [run](http://m/1) in MLflow" in text
    assert "## Verdicts\n\n3 seeds.\n" in text
    assert "| deeper is &#124; better | **confirmed** | refuted |" in text
    assert "| `train[x]` | 0.20000 | [MLflow](http://m/2) |" in text
    assert "failed" not in text


def test_the_results_of_a_failed_run_say_what_failed():
    text = results_markdown("mnist", ["train[x]: NaN |at epoch 3`"], "", [], [], {})
    assert "## What failed\n\n- `train[x]: NaN ?at epoch 3?`" in text
    assert "MLflow" not in text


def test_many_models_are_cut(monkeypatch):
    monkeypatch.setattr(run_page, "MODELS_SHOWN", 1)
    assert "| and 2 more | | |" in results_markdown("x", [], "", [], [ENTRY] * 3, {})


def test_findings_come_before_verdicts():
    text = results_markdown("x", [], "3 seeds", VERDICTS, [], {}, ["It <falls>."])
    assert "## Findings\n\n- It &#60;falls&#62;.\n\n## Verdicts" in text


def test_the_report_is_linked_where_mlflow_has_it(monkeypatch):
    made = []
    monkeypatch.setattr(run_page, "create_markdown_artifact", lambda text, key, description: None)
    monkeypatch.setattr(
        run_page, "create_link_artifact", lambda link, **named: made.append((link, named["key"]))
    )
    show_results("My Study", [], "3 seeds", [], [], {})
    show_results("My Study", ["report failed"], "", [], [], {"": "http://m/1"})
    assert made == []
    show_results("My Study", [], "3 seeds", [], [], {"": "http://m/1"})
    assert made == [("http://m/1/artifacts/index.html", "my-study-report")]


def test_only_a_run_that_prefect_scheduled_is_named_again(monkeypatch):
    named, identifier = [], uuid4()

    @contextmanager
    def get_client(sync_client):
        yield SimpleNamespace(update_flow_run=lambda run, name: named.append((run, name)))

    monkeypatch.setattr(run_page, "get_client", get_client)
    monkeypatch.setattr(run_page, "deployment", SimpleNamespace(id=None))
    run_page.name_scheduled_run("digits, 5 seeds")
    assert named == []
    monkeypatch.setattr(run_page, "deployment", SimpleNamespace(id="x"))
    monkeypatch.setattr(run_page, "flow_run", SimpleNamespace(id=str(identifier)))
    run_page.name_scheduled_run("digits, 5 seeds")
    ((run, name),) = named
    assert run == identifier
    assert name.startswith("digits, 5 seeds, ")


def test_the_artifact_has_a_key_that_prefect_takes_and_an_error_is_a_warning(monkeypatch):
    keys = []

    def create(markdown, key, description):
        keys.append(key)
        raise OSError("no server")

    monkeypatch.setattr(run_page, "create_markdown_artifact", create)
    with pytest.warns(UserWarning, match="Prefect's page does not show all of this run: no server"):
        show_results("My_Study.2", [], "", [], [], {})
    assert keys == ["my-study-2-results"]
