import time
import warnings

import pytest

from flows.lifecycle import shown_progress as module
from flows.lifecycle.shown_progress import shown_progress


@pytest.fixture
def server(monkeypatch):
    """What Prefect's server was told."""
    told = []

    def create(progress, key, description):
        told.append((key, progress))
        return "id"

    monkeypatch.setattr(module, "create_progress_artifact", create)
    monkeypatch.setattr(
        module, "update_progress_artifact", lambda artifact, progress: told.append(progress)
    )
    return told


def test_a_short_run_is_shown_once_at_its_end(server):
    with shown_progress("My Study", lambda: 100.0):
        assert server == []
    assert server == [("my-study-progress", 100.0)]


def test_a_long_run_is_updated_when_it_gets_further(server, monkeypatch):
    monkeypatch.setattr(module, "UPDATE_SECONDS", 0.01)
    now = [10.0]
    with shown_progress("x", lambda: now[0]):
        time.sleep(0.2)
        now[0] = 60.0
        time.sleep(0.2)
    assert server == [("x-progress", 10.0), 60.0]


def test_a_server_that_is_away_is_one_warning_and_fails_nothing(monkeypatch):
    def create(*given):
        raise OSError("no server")

    monkeypatch.setattr(module, "create_progress_artifact", create)
    monkeypatch.setattr(module, "UPDATE_SECONDS", 0.01)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with shown_progress("x", lambda: 1.0):
            time.sleep(0.2)
    assert [str(one.message) for one in shown] == [
        "Prefect's page does not show all of this run: no server"
    ]


def test_a_server_that_hangs_does_not_hold_up_the_end(monkeypatch):
    monkeypatch.setattr(module, "create_progress_artifact", lambda *given: time.sleep(5))
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.05)
    started = time.monotonic()
    with shown_progress("x", lambda: 1.0):
        pass
    assert time.monotonic() - started < 2
