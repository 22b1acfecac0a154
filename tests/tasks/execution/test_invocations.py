from tasks.execution.invocations import (
    DIED,
    InvocationLog,
    close_invocation,
    invocations,
    open_invocations,
)


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
