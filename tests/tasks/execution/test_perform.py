import shutil

import pytest

from models.specs import TrainingRecipe
from tasks.cache import store
from tasks.cache.provenance import releases_in_keys
from tasks.cache.step import SeedStackStep, Step
from tasks.execution.exact_code import CodeChangedError
from tasks.execution.perform import perform
from tasks.execution.session import task_session
from tasks.execution.workers import WorkerDiedError
from tasks.system.disk_errors import DiskError
from tests.tasks.execution.sessions import EPOCH, SameThreadWorkers, recorded_session

computed = []  # what was computed since the test began, in order


@pytest.fixture(autouse=True)
def nothing_computed():
    computed.clear()


def add_one(folder, number):
    computed.append(number)
    (folder / "number.txt").write_text(str(number + 1))
    return {"number": number + 1}


def double(folder, upstream):
    computed.append("double")
    return {"number": 2 * upstream.result["number"]}


def fail(folder):
    raise ZeroDivisionError("no number")


def write_until_full(folder):
    (folder / "weights").write_text("as much as there was room for")
    raise RuntimeError("unexpected pos 64 vs 0")


def train_seeds(folder, recipe):
    """Several seeds at once; seed 9 diverges."""
    computed.append([one.seed for one in recipe])
    return [ValueError("diverged") if one.seed == 9 else {"seed": one.seed} for one in recipe]


add_one_step = Step(add_one, "add_one", kind="model")
double_step = Step(double, "double")
fail_step = Step(fail, "fail", kind="model")
stack_step = SeedStackStep(train_seeds, "train_seeds", kind="model", seed_input="recipe")
IDENTITY = {"subject": "x"}


def test_a_task_is_computed_once_and_then_loaded():
    session = recorded_session(SameThreadWorkers([EPOCH]))
    with task_session(session):
        entry, cached = perform(add_one_step, IDENTITY, {"number": 1})
    assert (entry.result, entry.name, cached) == ({"number": 2}, "add_one[x]", False)
    assert entry.path("number.txt").read_text() == "2"
    assert session.log.calls == [("task", "add_one[x]", "add_one", entry.key)]
    assert session.display.calls == [("begin", "add_one[x]"), ("epoch", "add_one[x]", EPOCH)]
    assert [call[0] for call in session.tracker.calls] == ["begin", "log_epoch", "log_entry"]
    later = recorded_session()
    with task_session(later):
        assert perform(add_one_step, IDENTITY, {"number": 1}) == (entry, True)
    assert computed == [1]
    assert later.display.calls == []
    assert [call[0] for call in later.tracker.calls] == ["log_entry"]


def test_a_forced_task_is_computed_again_once():
    with task_session(recorded_session()):
        perform(add_one_step, IDENTITY, {"number": 1})
    session = recorded_session(forced={"add_one[x]"})
    with task_session(session):
        assert perform(add_one_step, IDENTITY, {"number": 1})[1] is False
        perform(add_one_step, IDENTITY, {"number": 1})
    assert computed == [1, 1]
    assert session.forced == set()


def test_an_interrupted_invocation_computes_nothing_more():
    session = recorded_session()
    session.workers.stop()
    with task_session(session), pytest.raises(WorkerDiedError, match="stopped"):
        perform(add_one_step, IDENTITY, {"number": 1})
    assert computed == []


@pytest.mark.parametrize(("interrupted", "status"), [(False, "FAILED"), (True, "KILLED")])
def test_the_run_of_a_failed_computation_is_closed(interrupted, status):
    session = recorded_session()
    run = session.workers.run

    def run_until_interrupted(*arguments):
        session.workers.stopped = interrupted
        return run(*arguments)

    session.workers.run = run_until_interrupted
    with task_session(session), pytest.raises(ZeroDivisionError):
        perform(fail_step, IDENTITY, {})
    ((plan, closed),) = session.tracker.to("fail")
    assert (plan.name, closed) == ("fail[x]", status)
    assert store.load("fail", plan.key) is None


def test_an_input_that_was_lost_is_computed_again():
    with task_session(recorded_session()):
        upstream, _ = perform(add_one_step, IDENTITY, {"number": 1})
        shutil.rmtree(upstream.folder)
        assert perform(double_step, IDENTITY, {"upstream": upstream})[0].result == {"number": 4}
    assert computed == [1, 1, "double"]
    assert upstream.path("number.txt").exists()


def test_a_lost_input_of_another_invocation_is_an_error():
    with task_session(recorded_session()):
        upstream, _ = perform(add_one_step, IDENTITY, {"number": 1})
    shutil.rmtree(upstream.folder)
    with task_session(recorded_session()), pytest.raises(FileNotFoundError, match=r"add_one\[x\]"):
        perform(double_step, IDENTITY, {"upstream": upstream})


def stacked(*seeds):
    """A session with the tasks of these seeds submitted, and the inputs of each task."""
    session = recorded_session(stack_size=8)
    inputs = {seed: {"recipe": TrainingRecipe(seed=seed)} for seed in seeds}
    for seed in seeds:
        session.stacks.add(stack_step, {"seed": seed}, inputs[seed])
    session.stacks.mark_all_submitted()
    return session, inputs


def test_a_stack_is_computed_by_its_first_task():
    session, inputs = stacked(0, 1, 2)
    with task_session(session):
        results = [perform(stack_step, {"seed": seed}, inputs[seed]) for seed in inputs]
    assert computed == [[0, 1, 2]]
    assert [entry.result["seed"] for entry, _ in results] == [0, 1, 2]
    assert not any(cached for _, cached in results)


def test_a_stack_leaves_out_what_is_computed_or_locked():
    session, inputs = stacked(0, 1, 2)
    locked = stack_step.key(inputs[2])
    with task_session(recorded_session()):
        perform(stack_step, {"seed": 1}, inputs[1])
    with task_session(session), store.locked("train_seeds", locked):
        perform(stack_step, {"seed": 0}, inputs[0])
    assert computed == [[1], [0]]


def test_a_seed_that_diverges_fails_alone():
    session, inputs = stacked(0, 9)
    with task_session(session):
        assert perform(stack_step, {"seed": 0}, inputs[0])[0].result == {"seed": 0}
        with pytest.raises(ValueError, match="diverged"):
            perform(stack_step, {"seed": 9}, inputs[9])
    assert computed == [[0, 9], [9]]


def test_an_entry_gets_the_name_that_this_study_gives_it():
    with task_session(recorded_session()):
        perform(add_one_step, {"subject": "other study"}, {"number": 1})
        entry, cached = perform(add_one_step, IDENTITY, {"number": 1})
    assert (entry.name, entry.identity, cached) == ("add_one[x]", IDENTITY, True)
    assert entry.sizes == {"number.txt": 1}


def test_a_worker_with_another_release_computes_nothing():
    versions = {"torch": "1.13"}
    with task_session(recorded_session()):
        with pytest.raises(CodeChangedError, match=r"this worker has .* and the study .*1\.13"):
            perform(add_one_step, IDENTITY, {"number": 1, "versions": versions})
        assert computed == []
        perform(add_one_step, IDENTITY, {"number": 1, "versions": releases_in_keys()})
    assert computed == [1]


def test_a_disk_is_full_as_long_as_the_failed_files_are_there(home, monkeypatch):
    full = f"{home}: its disk is full; free space there"

    def found(folder):
        return full if list(home.glob("store/tmp/*/weights")) else ""

    monkeypatch.setattr("tasks.system.disk_errors.why_unwritable", found)
    session = recorded_session()
    with task_session(session), pytest.raises(DiskError, match=full):
        perform(Step(write_until_full, "full"), {"subject": "x"}, {})
    assert not list(home.glob("store/tmp/*"))
    assert not list(home.glob("store/full/*"))
