import warnings

import pytest
from distributed import Event

from models.specs import ConfigError
from tasks.cache import signatures
from tasks.cache.step import Step
from tasks.execution import dask_task
from tasks.execution.dask_task import DaskContext
from tasks.execution.exact_code import CodeChangedError
from tasks.execution.perform import perform
from tasks.execution.session import current_session
from tasks.execution.workers import WorkerDiedError
from tasks.system.folders import study_home
from tests.tasks.execution.sessions import EPOCH


def add_one(folder, number):
    return {"number": number + 1}


step = Step(add_one, "add_one", kind="model")
FOLDERS = {"STUDY_HOME": "/of-the-invocation", "STUDY_DATA": "/data", "STUDY_STORE": ""}


@pytest.fixture(autouse=True)
def own_warnings():
    """The worker is in this process: undo what it does to the warnings of its process."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        dask_task._send_warnings.cache_clear()
        yield
    dask_task._send_warnings.cache_clear()


# Dask copies what a function inside a test refers to, but not this module.
listeners, epochs = [], []


@pytest.fixture
def without_torch(monkeypatch):
    """Computations keep their listener in ``listeners``, and torch is not imported."""
    monkeypatch.setattr(
        dask_task, "configure_worker", lambda listener, *_: listeners.append(listener)
    )
    listeners.clear()


def context_of(name, forced=(), signature=None):
    return DaskContext(name, signature, FOLDERS, frozenset(forced), 1, "cpu")


def on_worker(client, context, function, code=None):
    """What a function returns in a task's session on the worker."""

    def run():
        with context.session(step, step.code if code is None else code):
            return function()

    return client.submit(run, pure=False).result(timeout=20)


def test_a_task_has_a_session_of_its_own_with_what_the_invocation_forces(dask_client):
    def look():
        session = current_session()
        return session.forced, session.workers.stopped

    context = context_of("look", forced={"train[x]"})
    assert on_worker(dask_client, context, look) == ({"train[x]"}, False)
    with pytest.raises(RuntimeError, match="study run"):
        dask_client.submit(current_session, pure=False).result(timeout=20)


def test_the_worker_uses_the_folders_of_the_invocation_unless_it_has_its_own(
    dask_client, monkeypatch, home
):
    assert on_worker(dask_client, context_of("folders"), study_home) == home
    monkeypatch.delenv("STUDY_HOME")
    assert str(on_worker(dask_client, context_of("folders"), study_home)) == FOLDERS["STUDY_HOME"]


def test_a_worker_with_other_code_is_refused_by_its_address(dask_client):
    with pytest.raises(CodeChangedError, match=r"worker inproc://\S+ runs other code .*:Value"):
        on_worker(dask_client, context_of("code"), study_home, {"models.specs:Value": "other"})


def test_a_worker_whose_entries_would_be_refused_is_refused(dask_client, monkeypatch):
    with pytest.raises(ConfigError, match=r"worker inproc://\S+ has another STUDY_STORE_KEY"):
        on_worker(dask_client, context_of("key", signature="0" * 64), study_home)
    monkeypatch.setenv("STUDY_STORE_KEY", "k" * 32)
    context = context_of("key", signature=signatures.sign("key"))
    assert on_worker(dask_client, context, study_home)


def test_what_a_task_reports_is_sent_to_the_invocation(dask_client, without_torch):
    def task():
        entry, _ = perform(step, {"subject": "x"}, {"number": 1})
        current_session().display.epoch("add_one[x]", EPOCH)
        warnings.warn("from http://me:secret@host", stacklevel=1)
        return entry

    entry = on_worker(dask_client, context_of("reports"), task)
    messages = [message for _, message in dask_client.get_events("reports")]
    assert [(message["part"], message["do"]) for message in messages] == [
        ("log", "task"),
        ("display", "begin"),
        ("tracker", "begin"),
        ("tracker", "log_entry"),
        ("display", "epoch"),
        ("display", "warn"),
    ]
    assert messages[3]["arguments"][1] == entry.model_dump(mode="json")
    assert messages[-1]["arguments"] == ["from http://host"]


def train_three_epochs():
    """A training whose invocation is interrupted in its second epoch."""
    for number in (1, 2, 3):
        if number == 2:
            Event("interrupted").set()
        listeners[-1]({"epoch": number})


def run_training():
    current_session().workers.run(train_three_epochs, {}, epochs.append)


def test_an_interrupted_invocation_stops_a_computation_after_an_epoch(
    dask_client, without_torch, monkeypatch
):
    monkeypatch.setattr(dask_task, "STOP_CHECK_SECONDS", -1)
    with pytest.raises(WorkerDiedError, match="stopped"):
        on_worker(dask_client, context_of("interrupted"), run_training)
    assert epochs == [{"epoch": 1}, {"epoch": 2}]
