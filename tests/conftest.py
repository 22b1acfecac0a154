"""Fixtures for all tests: an own STUDY_HOME for each."""

import os
import tempfile

# Prefect reads its settings when it is first imported.
os.environ["STUDY_HOME"] = tempfile.mkdtemp(prefix="study-tests-")

from flows.engine import prepare_environment

prepare_environment()

import pytest  # noqa: E402

from tasks.tracking.client import KIND, STUDY, connect, search_everywhere  # noqa: E402


def study_runs(study):
    """The parent runs of a study in MLflow, newest first."""
    found = search_everywhere(connect(), f"tags.`{KIND}` = 'study'")
    return [run for run in found if run.data.tags[STUDY] == study]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A fresh STUDY_HOME, and no data folder."""
    monkeypatch.setenv("STUDY_HOME", str(tmp_path / "results"))
    return tmp_path / "results"
