import errno
import os
import re
import time

import pytest

from tasks.cache import store
from tasks.system import json_lines
from tasks.system.disk_errors import DiskError
from tasks.system.polling import wait_until
from tasks.tracking.client import KIND_TAG, TrackingError, connect, search_everywhere
from tasks.tracking.spool import FORMAT, Spool
from tasks.tracking.sync import log_spools, mark_dead, sync
from tasks.tracking.tracker import Tracker
from tasks.tracking.writer import Writer
from tests.conftest import study_runs
from tests.servers import TrackingServer
from tests.tasks.tracking.conftest import ENTRY, HISTORY, PLAN, only_run

STUDY = {"name": "once", "training": {"epochs": 2}}


def assert_logged_once(client):
    run = only_run(client)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"depth": "2", "latent_dim": "3", "n_parameters": "9"}
    for name, steps in (("train_loss", [1, 2]), ("final_test_loss", [0])):
        found = client.get_metric_history(run.info.run_id, name)
        assert [metric.step for metric in found] == steps


def test_a_run_is_complete_and_logged_once_whatever_came_between(client):
    tracker = Tracker("once", "invocation")
    tracker.start_study(STUDY)

    def status():
        assert tracker.wait()
        return only_run(client).info.status

    tracker.begin(PLAN)
    tracker.log_epoch(PLAN, HISTORY[0])
    tracker.log_epoch(PLAN, HISTORY[0])
    tracker.fail(PLAN)
    assert status() == "FAILED"
    tracker.begin(PLAN)
    assert status() == "RUNNING"
    tracker.log_entry(PLAN, ENTRY)
    assert status() == "FINISHED"

    tracker.begin(PLAN)  # computed again on request, and failing
    tracker.fail(PLAN)
    assert status() == "FINISHED"
    client.set_terminated(only_run(client).info.run_id, "KILLED")  # a kill just before the end
    other = Tracker("once", "another invocation")
    other.log_entry(PLAN, ENTRY)
    tracker.log_entry(PLAN, ENTRY)
    assert other.wait()
    assert status() == "FINISHED"
    assert_logged_once(client)
    tracker.finish_study("FINISHED", {"tasks_done": 1}, {})
    assert sync() == 0  # nothing is left, and the other one is at work


@pytest.fixture
def server(home):
    """A tracking server that can be stopped and started again; its address is in use."""
    with TrackingServer(home) as found:
        yield found


def test_an_operation_that_fails_by_a_programming_error_stays_in_the_spool(client, monkeypatch):
    def fail(*_):
        raise ValueError("an error of a client")

    tracker = Tracker("once", "invocation")
    tracker.start_study(STUDY)
    tracker.begin(PLAN)
    assert tracker.wait()
    with monkeypatch.context() as patch:
        patch.setattr("tasks.tracking.entry_runs.EntryRuns.log_entry", fail)
        tracker.log_entry(PLAN, ENTRY)
        with pytest.warns(match="not logged to MLflow: log_entry: ValueError: an error of a clie"):
            assert tracker.wait()
        tracker.finish_study("FINISHED", {"tasks_done": 1}, {})
    monkeypatch.setattr("tasks.tracking.sync.store.load", lambda *_: ENTRY)
    assert log_spools() == (1, [])
    assert_logged_once(client)
    assert log_spools() == (0, [])


def test_epochs_in_quick_succession_are_logged_with_the_entry(client, monkeypatch):
    monkeypatch.setattr("tasks.tracking.tracker.EPOCH_SECONDS", 1_000.0)
    tracker = Tracker("once", "invocation")
    tracker.start_study(STUDY)
    tracker.begin(PLAN)
    for event in HISTORY:
        tracker.log_epoch(PLAN, event)
    assert tracker.wait()
    run_id = only_run(client).info.run_id
    assert [one.step for one in client.get_metric_history(run_id, "train_loss")] == [1]
    tracker.log_entry(PLAN, ENTRY)
    assert tracker.wait()
    assert_logged_once(client)


def test_what_an_outage_kept_from_mlflow_is_logged_later_once(server):
    with store.workspace(ENTRY.task, ENTRY.key) as folder:
        store.publish(folder, ENTRY)
    tracker = Tracker("once", "invocation")
    tracker.start_study(STUDY)
    tracker.begin(PLAN)
    tracker.log_epoch(PLAN, HISTORY[0])
    assert tracker.wait()
    server.stop()
    tracker._patience = 0.5
    tracker.log_epoch(PLAN, HISTORY[1])
    tracker.log_entry(PLAN, ENTRY)
    with pytest.warns(match="not in MLflow yet.*study sync"):
        tracker.finish_study("FINISHED", {"tasks_done": 1}, {"study.failures": ""})

    with pytest.raises(TrackingError):
        sync()
    server.start()
    assert sync() == 1
    assert sync() == 0
    client = connect()
    assert_logged_once(client)
    parent = only_run(client, "study")
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics == {"tasks_done": 1}


def test_a_server_that_comes_back_gets_all_of_it_during_the_run(server):
    server.stop()
    tracker = Tracker("once", "invocation")
    tracker.start_study(STUDY)
    tracker.begin(PLAN)
    server.start()
    tracker.log_entry(PLAN, ENTRY)
    tracker.finish_study("FINISHED", {}, {})
    assert_logged_once(connect())
    assert sync() == 0


def test_runs_of_a_dead_process_are_closed_by_the_next(client):
    dead = Tracker("once", "dead")
    dead.start_study(STUDY)
    dead.begin(PLAN)
    assert dead.wait()
    dead._spool.release()
    mark_dead("dead")
    after = Tracker("once", "after")
    after.start_study(STUDY)
    assert after.wait()
    assert only_run(client).info.status == "KILLED"
    statuses = {r.info.status for r in search_everywhere(client, f"tags.`{KIND_TAG}` = 'study'")}
    assert statuses == {"KILLED", "RUNNING"}


def left_by_a_dead_process(invocation="dead"):
    """The spool of a process that started a study and was killed."""
    dead = Tracker("once", invocation)
    dead.start_study(STUDY)
    assert dead.wait()
    dead._spool.release()
    mark_dead(invocation)
    return dead._spool


@pytest.mark.parametrize(
    "operation",
    [
        {"do": "teleport", "at": 1},
        {"do": "close", "reason": "an argument of a newer version"},
        {"do": "fail", "at": 1, "plan": {"kind": "model", "colour": "red"}, "status": "FAILED"},
        {"do": "log_entry", "at": 1, "plan": PLAN._asdict(), "entry": 7, "fingerprint": "f"},
        {"do": ["close"]},
        {"at": 1},
    ],
)
def test_an_unknown_operation_is_one_line_and_the_rest_is_logged(client, operation):
    spool = left_by_a_dead_process()
    operations = spool.read()
    spool.remove()
    for one in (operation, *operations):
        spool.add(one)
    for _ in range(2):  # and nothing is logged twice
        logged, (line,) = log_spools()
        assert logged == 0
        assert re.fullmatch(
            rf"{spool.path} holds what this version cannot log, [^\n]*version", line
        )
        assert only_run(client, "study").info.status == "KILLED"
    assert len(spool.read()) == len(operations) + 1
    with pytest.warns(match="cannot log"):
        assert sync() == 0


def test_a_spool_names_no_folder_outside(client, home, tmp_path):
    victim = tmp_path / "victim" / "docs"
    victim.mkdir(parents=True)
    spool = left_by_a_dead_process()
    reference = ["../../victim", "docs"]
    spool.add({"do": "log_summary", "at": 2, "report": reference, "groups": {}, "note": ""})
    _, (line,) = log_spools()
    assert "'log_summary': '../../victim/docs' names no entry of a store" in line
    spool.remove()
    named = Spool("20260105-named")
    named.add({"do": "start_study", "at": 1, "parameters": {"name": "../../out"}, "source": {}})
    _, (line,) = log_spools()
    assert "'start_study' without a study" in line
    assert victim.is_dir()
    assert not (tmp_path / "out").exists()


def test_a_newer_spool_is_left_alone_and_others_are_logged(client, home):
    newer = left_by_a_dead_process("20260101-newer")
    json_lines.append(newer.path, {"format": FORMAT + 1})
    before = newer.path.read_bytes()
    pipe = home / "spool" / "20260102-pipe.jsonl"
    os.mkfifo(pipe)
    with pytest.warns(match="a newer version|not a regular file"):
        left_by_a_dead_process("20260103-this")  # it logs the others first
    logged, kept = log_spools()
    assert logged == 1
    assert {line.split()[0] for line in kept} == {str(newer.path), str(pipe)}
    assert newer.path.read_bytes() == before
    assert sorted(run.info.status for run in study_runs("once")) == ["KILLED", "RUNNING"]


def test_operations_without_the_start_of_a_study_are_kept(client):
    spool = Spool("invocation")
    spool.add({"do": "close"})
    assert log_spools() == (1, [])  # there is no run to close
    spool.add({"do": "finish_study", "at": 1, "status": "FINISHED", "metrics": {}, "tags": {}})
    logged, (line,) = log_spools()
    assert (logged, "'finish_study' without a study" in line) == (0, True)
    assert spool.path.exists()


def test_times_do_not_go_back_with_the_clock(client, monkeypatch):
    tracker = Tracker("once", "invocation")
    tracker.start_study(STUDY)
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: 1000.0)
        tracker.finish_study("FINISHED", {}, {})
    run = only_run(client, "study")
    assert run.info.end_time >= run.info.start_time


@pytest.fixture
def full_disk(monkeypatch):
    """MLflow cannot write its database as long as this list is not empty."""
    found = ["/mlflow: its disk is full; free space there"]
    apply = Writer.apply

    def refuse(writer, operation):
        if found:
            error = TrackingError(f"MLflow: {found[0]}")
            error.disk, error.damaged = found[0], True
            raise error
        apply(writer, operation)

    monkeypatch.setattr(Writer, "apply", refuse)
    return found


def test_a_full_disk_of_mlflow_is_an_error_without_a_wait(full_disk, client):
    tracker = Tracker("once", "invocation")
    tracker.start_study(STUDY)
    started = time.monotonic()
    with pytest.raises(DiskError, match="MLflow: /mlflow: its disk is full"):
        tracker.finish_study("FINISHED", {}, {})
    assert time.monotonic() - started < 10
    tracker.interrupt()
    full_disk.clear()
    assert sync() == 1
    (run,) = study_runs("once")
    assert run.info.status == "FINISHED"


def test_a_disk_that_was_full_for_a_while_is_forgotten(full_disk, client):
    tracker = Tracker("once", "invocation")
    tracker.start_study(STUDY)
    wait_until(lambda: tracker._disk, 30)
    full_disk.clear()
    wait_until(lambda: not tracker._disk, 30)
    tracker.finish_study("FINISHED", {}, {})
    assert sync() == 0


def test_an_interrupt_on_a_full_disk_ends(client, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "no space")

    tracker = Tracker("once", "invocation")
    tracker.start_study(STUDY)
    assert tracker.wait()
    monkeypatch.setattr(tracker._spool, "add", refuse)
    tracker.interrupt()
    (run,) = study_runs("once")
    assert run.info.status == "KILLED"
