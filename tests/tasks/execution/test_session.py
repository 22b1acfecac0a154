import threading

import pytest

from tasks.execution.session import (
    current_session,
    open_session,
    stop_workers,
    task_session,
)
from tests.tasks.execution.sessions import Recorder, SameThreadWorkers, recorded_session


def in_another_thread(function):
    """What a function returns or raises in a new thread, which knows no session of a task."""
    found = []

    def run():
        try:
            found.append(function())
        except RuntimeError as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def test_outside_a_flow_there_is_no_session():
    with pytest.raises(RuntimeError, match="study run"):
        current_session()
    assert stop_workers() is None


def test_a_session_of_one_task_is_seen_in_its_thread_only():
    session = recorded_session()
    with task_session(session):
        assert current_session() is session
        assert isinstance(in_another_thread(current_session), RuntimeError)
    with pytest.raises(RuntimeError):
        current_session()


def test_an_open_session_is_that_of_every_thread():
    workers = SameThreadWorkers()
    with open_session(workers, Recorder(), Recorder(), {"train[x]"}, 1) as session:
        assert workers.listener is session
        assert session.forced == {"train[x]"}
        assert current_session() is session
        assert in_another_thread(current_session) is session
        assert stop_workers() is session
        assert workers.stopped
    with pytest.raises(RuntimeError):
        current_session()


def test_an_error_stops_the_workers_and_ends_the_session():
    workers = SameThreadWorkers()

    def fail():
        with open_session(workers, Recorder(), Recorder(), set()):
            assert not workers.stopped
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert workers.stopped
    with pytest.raises(RuntimeError):
        current_session()
