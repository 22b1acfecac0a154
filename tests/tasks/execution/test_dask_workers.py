import os
import warnings

import pytest
from distributed import Event

from tasks.execution.dask_task import DaskContext
from tasks.execution.dask_workers import DaskWorkers
from tasks.execution.worker_processes import WorkerProcesses
from tasks.execution.workers import WorkerDiedError
from tasks.system.polling import wait_until
from tests.tasks.execution.sessions import recorded_session


@pytest.fixture
def workers(dask_client, request):
    here = WorkerProcesses(1, 1, "cpu")
    found = DaskWorkers(dask_client, request.node.name, {"train[x]"}, 2, "cpu", here)
    yield found
    found.stop()


def message(part, do, *arguments):
    return {"part": part, "do": do, "arguments": list(arguments), "named": {}}


def listening_session(workers, client):
    """A session that receives messages: the cluster takes a moment to subscribe it."""
    session = recorded_session()
    workers.listen(session)

    def received():
        client.log_event(workers.dask_context.invocation, message("display", "begin", "first"))
        return session.display.calls

    assert wait_until(received, 5, every=0.05)
    return session


def test_tasks_get_what_the_invocation_decides(workers, home):
    context = workers.dask_context
    assert isinstance(context, DaskContext)
    assert context.folders["STUDY_HOME"] == str(home)
    assert (context.forced, context.threads, context.device) == ({"train[x]"}, 2, "cpu")
    assert context.signature is None


def test_what_is_not_shared_is_computed_in_processes_here(workers):
    assert workers.run(os.getppid, {}, print) not in {os.getpid(), None}
    workers.stop()
    with pytest.raises(WorkerDiedError, match="stopped"):
        workers.run(os.getppid, {}, print)


def test_messages_of_tasks_become_calls_on_the_session(workers, dask_client):
    session = listening_session(workers, dask_client)
    topic = workers.dask_context.invocation
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dask_client.log_event(topic, message("display", "stop"))
        dask_client.log_event(topic, message("display", "begin", "train[x]"))
        assert wait_until(lambda: ("begin", "train[x]") in session.display.calls, 5, every=0.01)
    (warning,) = caught
    assert "was ignored: a Dask worker called display.stop" in str(warning.message)
    assert {method for method, *_ in session.display.calls} == {"begin"}


def test_stopping_reaches_the_tasks_and_ends_the_messages(workers, dask_client):
    session = listening_session(workers, dask_client)
    workers.stop()
    assert workers.stopped
    topic = workers.dask_context.invocation
    assert Event(topic, client=dask_client).is_set()
    dask_client.log_event(topic, message("display", "begin", "train[x]"))
    assert not wait_until(lambda: ("begin", "train[x]") in session.display.calls, 0.2)
    workers.stop()  # a second time it does nothing
