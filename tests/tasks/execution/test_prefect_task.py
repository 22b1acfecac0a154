import errno
from contextlib import contextmanager

import pytest

from models.training.loop import DivergedError
from tasks.cache.step import Step
from tasks.execution.prefect_task import (
    RETRIES,
    OpaqueEntry,
    is_transient,
    prefect_task,
    unwrap_entries,
    wrap_entries,
)
from tasks.execution.session import task_session
from tasks.execution.worker_processes import WorkerDiedError
from tests.prefect_offline import prefect_offline
from tests.tasks.execution.sessions import recorded_session

errors = []  # what the next computations raise, in order


def add_one(folder, number):
    """The number after another one."""
    if errors:
        raise errors.pop(0)
    return {"number": number + 1}


def double(folder, upstream):
    return {"number": 2 * upstream[0].result["number"]}


add_one_step, double_step = Step(add_one, "add_one"), Step(double, "double")
IDENTITY = {"subject": "x"}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.EIO, "input/output error"), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (FileNotFoundError(errno.ENOENT, "gone in the middle"), True),
        (OSError(errno.ENOSPC, "no space left on device"), False),
        (PermissionError(errno.EACCES, "not allowed"), False),
        (DivergedError("diverged at epoch 3"), False),
        (WorkerDiedError("killed"), False),
        (ValueError("a bug"), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error, expected):
    assert is_transient(error) is expected


@pytest.fixture
def run():
    """Runs the task of a step with Prefect, in a session of its own, without waiting to retry."""
    errors.clear()

    def run_task(step, **inputs):
        task = prefect_task(step).with_options(retry_delay_seconds=0)
        with prefect_offline(), task_session(recorded_session()):
            return task(wrap_entries(inputs), IDENTITY, return_state=True)

    return run_task


def test_a_task_completes_and_then_is_cached(run):
    first, again = run(add_one_step, number=1), run(add_one_step, number=1)
    assert (first.name, again.name) == ("Completed", "Cached")
    assert first.result().entry.result == {"number": 2}
    assert again.result().entry == first.result().entry


def test_a_task_that_an_interrupt_stopped_is_cancelled(run):
    errors[:] = [WorkerDiedError("the worker process was killed")]
    assert run(add_one_step, number=1).name == "Failed"  # and nobody stopped it
    session = recorded_session()
    session.workers.stop()
    with prefect_offline(), task_session(session):
        state = prefect_task(add_one_step)(wrap_entries({"number": 5}), IDENTITY, return_state=True)
    assert (state.type, state.message) == ("CANCELLED", "interrupted")


def test_a_transient_error_is_retried(run):
    errors[:] = [ConnectionResetError("cut off")] * RETRIES
    assert run(add_one_step, number=1).name == "Completed"
    errors[:] = [ConnectionResetError("cut off")] * (RETRIES + 1)
    assert run(add_one_step, number=2).name == "Failed"
    assert errors == []


def test_another_error_is_not_retried(run):
    errors[:] = [ValueError("a bug"), ValueError("not reached")]
    state = run(add_one_step, number=1)
    assert state.name == "Failed"
    with pytest.raises(ValueError, match="a bug"):
        state.result()
    assert len(errors) == 1


def test_entries_are_opaque_to_prefect_and_plain_to_the_computation(run):
    entry = run(add_one_step, number=1).result().entry
    wrapped = wrap_entries({"upstream": [entry], "groups": {"train": (entry, 3)}, "number": 1})
    assert isinstance(wrapped["upstream"][0], OpaqueEntry)
    assert not hasattr(wrapped["upstream"][0], "model_fields")
    assert isinstance(wrapped["groups"]["train"][0], OpaqueEntry)
    assert wrapped["number"] == 1
    found = unwrap_entries(wrapped)
    assert found == {"upstream": [entry], "groups": {"train": (entry, 3)}, "number": 1}
    assert run(double_step, upstream=[entry]).result().entry.result == {"number": 4}


def test_a_task_is_called_and_documented_like_its_step():
    task = prefect_task(add_one_step)
    assert (task.name, task.fn.__name__) == ("add_one", "add_one")
    assert task.description == "The number after another one."
    assert prefect_task(add_one_step) is task
    assert prefect_task(double_step) is not task
    assert not task.persist_result


def test_a_context_opens_the_session_of_the_task():
    opened = []

    class Context:
        @contextmanager
        def session(self, step, code):
            opened.append((step, code))
            with task_session(recorded_session()):
                yield

    errors.clear()
    done = prefect_task(add_one_step, Context()).fn({"number": 1}, IDENTITY)
    assert done.entry.result == {"number": 2}
    assert opened == [(add_one_step, add_one_step.code)]
