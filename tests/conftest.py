"""Fixtures for all tests: an own STUDY_HOME for each."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

# Prefect reads its settings when it is first imported.
os.environ["STUDY_HOME"] = tempfile.mkdtemp(prefix="study-tests-")

from flows.lifecycle.prefect_environment import prepare_environment

prepare_environment()

import pytest  # noqa: E402

from tasks.tracking.client import KIND_TAG, STUDY_TAG, connect, search_everywhere  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
SMOKE_TASKS = 67  # of the study smoke, with its report
COMMAND = [sys.executable, "-m", "flows.commands.main"]


def pytest_collection_modifyitems(items):
    """Files of few long tests go first: at the end one process would be left alone with them."""
    first = ("test_documentation_blocks", "test_extending", "test_command", "test_examples")
    items.sort(key=lambda item: not item.path.name.startswith(first))


def study_runs(study):
    """The parent runs of a study in MLflow, newest first."""
    found = search_everywhere(connect(), f"tags.`{KIND_TAG}` = 'study'")
    return [run for run in found if run.data.tags[STUDY_TAG] == study]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A fresh STUDY_HOME, and no data folder."""
    monkeypatch.setenv("STUDY_HOME", str(tmp_path / "results"))
    return tmp_path / "results"


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    home = tmp_path_factory.mktemp("a folder") / "results"
    return {**os.environ, "STUDY_HOME": str(home), "COLUMNS": "200"}


@pytest.fixture(scope="session")
def saved_once(tmp_path_factory):
    """A folder with a small saved model, not to be changed."""
    from tests.saved_models import make_saved_model

    folder = tmp_path_factory.mktemp("saved") / "model"
    make_saved_model(folder)
    return folder


@pytest.fixture
def study(environment, monkeypatch):
    monkeypatch.setenv("STUDY_HOME", environment["STUDY_HOME"])

    def run(*arguments, **variables):
        return subprocess.run(
            [*COMMAND, *arguments],
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return run


def executed(result):
    return re.findall(r"\] (\w+\[.*?\]) done", result.stdout)


def model_runs(kind="model"):
    """The runs of this kind, in every experiment."""
    client = connect()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(experiments, f"tags.`study.kind` = '{kind}'")


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()
