"""Fixtures for all tests: an own STUDY_HOME for each."""

import os
import tempfile

# Prefect reads its settings when it is first imported.
os.environ["STUDY_HOME"] = tempfile.mkdtemp(prefix="study-tests-")

from flows.engine import prepare_environment

prepare_environment()

import pytest  # noqa: E402


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A fresh STUDY_HOME, and no data folder."""
    monkeypatch.setenv("STUDY_HOME", str(tmp_path / "results"))
    return tmp_path / "results"
