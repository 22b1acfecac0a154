import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from tasks.execution import invocations as module
from tasks.execution.invocations import (
    DIED,
    FORMAT,
    InvocationLog,
    UnreadableRecord,
    close_invocation,
    invocations,
    open_invocations,
    records,
    records_named,
)
from tasks.system import json_lines


def begin(study="smoke"):
    return InvocationLog(study, {"name": study}, ["depth_sweep"])


def test_a_record_grows_line_by_line():
    log = begin()
    log.note(flow_run_id="abc")
    log.task("train[x]", task="train", key="k")
    assert next(invocations()).tasks["train[x]"].outcome == ""
    log.task("train[x]", outcome="failed", reason="diverged")
    log.task("pca[x]", task="pca", key="p", outcome="done")
    log.end("FAILED", "1 of 2 failed")
    (found,) = invocations("smoke")
    assert (found.state, found.message, found.flow_run_id) == ("FAILED", "1 of 2 failed", "abc")
    assert found.tasks["train[x]"].key == "k"
    assert list(found.unfinished) == ["train[x]"]
    assert (found.count("done"), found.count("failed")) == (1, 1)
    assert found.ended is not None
    assert not found.needs_closing


def test_a_running_invocation_differs_from_one_whose_process_died():
    log = begin()
    assert next(invocations()).state == "RUNNING"
    log._process_lock.release()  # as the system does when a process ends
    found = next(invocations())
    assert found.state == "CRASHED"
    assert found.needs_closing
    close_invocation(found)
    found = next(invocations())
    assert (found.state, found.needs_closing) == ("CRASHED", False)
    assert found.message == DIED


def test_many_that_look_at_once_at_a_dead_invocation_all_see_that_it_died():
    begin()._process_lock.release()

    def look(_):
        return next(invocations()).state

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(look, range(400))) == {"CRASHED"}


def test_an_invocation_that_ends_while_it_is_looked_at_is_not_dead(monkeypatch):
    log, read = begin(), module._read

    def read_and_end(path):
        found = read(path)
        if found.ended is None:
            log.end("COMPLETED", "1 done")
        return found

    monkeypatch.setattr(module, "_read", read_and_end)
    assert next(invocations()).state == "COMPLETED"
    assert list(open_invocations()) == []


def test_an_invocation_killed_while_closing_is_cancelled_and_needs_closing():
    log = begin()
    log.note(state="CANCELLED", message="interrupted")
    assert next(invocations()).state == "RUNNING"
    log._process_lock.release()
    found = next(invocations())
    assert (found.state, found.needs_closing) == ("CANCELLED", True)


def test_only_a_line_that_a_kill_cut_is_lost(home):
    log = begin()
    log.task("train[x]", outcome="done")
    (path,) = (home / "invocations").glob("*.jsonl")
    path.write_bytes(path.read_bytes() + b'\n{"tasks": {"train[x]"')
    log.end("COMPLETED", "1 done")
    (found,) = invocations()
    assert (found.state, found.count("done")) == ("COMPLETED", 1)


def test_the_newest_comes_first_and_studies_are_separate():
    for study in ("smoke", "mnist", "smoke", "my-smoke"):
        begin(study).end("COMPLETED", "")
    assert [found.study for found in invocations()] == ["my-smoke", "smoke", "mnist", "smoke"]
    assert [found.study for found in invocations("smoke")] == ["smoke", "smoke"]
    assert list(invocations("none")) == []


def test_open_invocations_are_those_without_an_end(home):
    begin("done").end("COMPLETED", "")
    running, dead, cut_off = begin("running"), begin("dead"), begin("cut-off")
    cut_off.note(state="CANCELLED", message="interrupted")
    for log in (dead, cut_off):
        log._process_lock.release()
    list(invocations())  # reading the records must not remove locks
    found = {invocation.study: invocation for invocation in open_invocations()}
    states = {study: (one.state, one.needs_closing) for study, one in found.items()}
    assert states == {
        "running": ("RUNNING", False),
        "dead": ("CRASHED", True),
        "cut-off": ("CANCELLED", True),
    }
    close_invocation(found["dead"])
    running.end("COMPLETED", "")
    assert [invocation.study for invocation in open_invocations()] == ["cut-off"]


def test_names_are_in_utc_in_every_timezone(home):
    code = (
        "from tasks.execution.invocations import InvocationLog\n"
        "log = InvocationLog('smoke', {}, []); log.end('COMPLETED', ''); print(log.id)"
    )
    made = []
    for zone in ("Asia/Tokyo", "America/Los_Angeles", "Asia/Tokyo"):
        variables = {**os.environ, "TZ": zone}
        command = [sys.executable, "-c", code]
        made.append(subprocess.check_output(command, env=variables, text=True).strip())
    assert [found.id for found in invocations()] == made[::-1]
    now = datetime.now(UTC)
    for name in made:
        begun = datetime.strptime(name[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
        assert abs((now - begun).total_seconds()) < 60


def test_an_invocation_comes_after_all_others_also_when_the_clock_was_set_back(monkeypatch):
    clock = iter([1_796_040_000, 1_796_036_400, 1_796_036_400, 1_796_040_001])
    monkeypatch.setattr(time, "time_ns", lambda: next(clock) * 10**9)
    logs = [begin() for _ in range(4)]
    made = [log.id for log in logs]
    assert [found.id for found in invocations()] == made[::-1]
    assert [found.id for found in open_invocations()] == made
    assert [name[:22] for name in made] == [
        "20261130-120000-000000",
        "20261130-120000-000001",
        "20261130-120000-000002",
        "20261130-120001-000000",
    ]
    found = next(invocations())
    assert (found.short_id, found.started) == ("20261130-120001", 1_796_040_001)


def test_invocations_that_begin_together_all_have_their_time():
    with ThreadPoolExecutor(8) as pool:
        made = [log.id for log in pool.map(lambda _: begin(), range(40))]
    assert len({name[: len("20261130-120000-000000")] for name in made}) == 40


OLD = {"study": "smoke", "config": {}, "sections": [], "state": "COMPLETED", "ended": 2e9}


def test_records_with_local_names_are_read_and_ordered_by_their_start(home):
    newest = begin()  # made in UTC
    for name, started in (
        ("20991231-235959-000000-smoke-aaaa", 1_700_000_000.5),  # names are later than times
        ("20991231-000000-000000-smoke-bbbb", 1_700_003_600.25),
    ):
        json_lines.append(home / "invocations" / f"{name}.jsonl", OLD | {"started": started})
    found = list(invocations("smoke"))
    assert [one.id[-4:] for one in found] == [newest.id[-4:], "bbbb", "aaaa"]
    assert [one.short_id for one in found[1:]] == ["20231114-231320", "20231114-221320"]
    assert found[1].duration == 2e9 - 1_700_003_600.25
    assert [one.id[-4:] for one in records_named("20231114-22")] == ["aaaa"]
    assert [one.id[-4:] for one in records_named("20991231")] == ["bbbb", "aaaa"]


def test_a_new_record_says_its_format_and_fields_of_another_version_do_no_harm(home):
    log = begin()
    log.note(colour="red")
    log.task("train[x]", task="train", key="k", colour="red")
    log.end("COMPLETED", "")
    found = next(invocations())
    assert (found.format, found.tasks["train[x]"].key) == (FORMAT, "k")
    assert 0 <= found.duration < 60


UNREADABLE = {
    "newer": b'{"format": 99, "started": 1}',
    "empty": b"",
    "cut off": b'{"study": "smo',
    "not UTF-8": b"\xff\xfe",
    "nested": b"[" * 100_000,
    "no tasks": b'{"study": "smoke", "tasks": 7}',
    "a task elsewhere": json.dumps(OLD | {"started": 1, "tasks": {"x": {"task": ".."}}}).encode(),
    "a key elsewhere": json.dumps(OLD | {"started": 1, "tasks": {"x": {"key": "/x"}}}).encode(),
    "a study elsewhere": json.dumps(OLD | {"started": 1, "study": "../x"}).encode(),
    "a task that is none": b'{"study": "smoke", "tasks": {"a": 7}}',
    "no settings": b'{"study": "smoke", "started": 1}',
    "no time": json.dumps(OLD | {"started": float("nan")}).encode(),
    "the end of time": json.dumps(OLD | {"started": 1e300}).encode(),
    "no format": json.dumps(OLD | {"started": 1, "format": "x"}).encode(),
    "format 0": json.dumps(OLD | {"started": 1, "format": 0}).encode(),
    "pipe": None,
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
def test_a_record_that_cannot_be_read_is_one_line_with_its_file(home, content):
    begin().end("COMPLETED", "")
    path = home / "invocations" / "20991231-235959-000000-smoke-aaaa.jsonl"
    if content is None:
        os.mkfifo(path)
    else:
        path.write_bytes(content)
    (found,) = [one for one in records("smoke") if isinstance(one, UnreadableRecord)]
    newer = content == UNREADABLE["newer"]
    reason = r"was written by a newer version of this project" if newer else r"is damaged \(.+\)"
    assert re.fullmatch(rf"{path} {reason}", str(found))
    with pytest.warns(match=rf"^{path} [^\n]*; it is left out$"):
        assert len(list(invocations())) == 1
    path.with_suffix(".lock").touch()
    assert list(open_invocations()) == []
    begin().end("COMPLETED", "")  # the next run is not kept from starting


def test_a_record_that_cannot_be_written_leaves_nothing_behind(home, monkeypatch):
    def full(path, record):
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json_lines, "append", full)
    with pytest.raises(OSError, match="No space left"):
        begin()
    assert list((home / "invocations").iterdir()) == []
