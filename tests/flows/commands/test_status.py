import re
import time

import pytest

from flows.commands.status import (
    OUTCOME_COLUMNS,
    SHOWN_FAILURES,
    SHOWN_INVOCATIONS,
    print_status,
)
from models.specs import ConfigError
from tasks.execution.invocations import InvocationLog
from tasks.system import json_lines


@pytest.fixture
def shown(capsys, monkeypatch):
    """The lines that the status prints."""
    monkeypatch.setenv("COLUMNS", "200")

    def lines(study=None):
        print_status(study)
        return capsys.readouterr().out.splitlines()

    return lines


def run(study, state="COMPLETED", message="", **outcomes):
    """An invocation with this many tasks of each outcome."""
    log = InvocationLog(study, {}, [])
    for outcome, count in outcomes.items():
        for number in range(count):
            log.task(f"{outcome}[{number}]", outcome=outcome, reason=f"because of {number}")
    log.end(state, message)
    return log.id


def test_before_the_first_run_the_first_command_is_named(shown):
    assert shown() == ["no study has run here yet; start one with: study run"]
    with pytest.raises(ConfigError, match="no study 'mnist' has run here"):
        print_status("mnist")


def test_every_run_is_a_line_with_its_counts_the_newest_first(shown):
    first = run("smoke", done=2, cached=1)
    second = run("mnist", done=3)
    header, *rows = shown()
    assert header.split() == ["study", "run", "(UTC)", "minutes", "state", *OUTCOME_COLUMNS]
    assert [row.split() for row in rows] == [
        ["mnist", second[:15], "0.0", "COMPLETED", "3", "0", "0", "0"],
        ["smoke", first[:15], "0.0", "COMPLETED", "2", "1", "0", "0"],
    ]
    assert [row.split()[0] for row in shown("smoke")] == ["study", "smoke"]


def test_what_the_newest_run_did_not_finish_is_listed(shown):
    run("smoke", "FAILED", "12 failed", done=1, failed=12)
    *_, headline = [line for line in shown() if line.startswith("smoke: ")]
    lines = shown()
    assert headline == "smoke: 12 failed"
    assert "  failed[0]: because of 0" in lines
    assert sum(line.startswith("  failed[") for line in lines) == SHOWN_FAILURES
    assert lines[-2:] == ["  and 2 more", "run what is missing with: study rerun smoke"]


def test_tasks_that_a_killed_process_left_were_not_finished(shown):
    log = InvocationLog("smoke", {}, [])
    log.task("train[x]", task="train", key="k")
    assert any("RUNNING" in line for line in shown())
    assert not any("rerun" in line for line in shown())
    log._process_lock.release()  # as the system does when a process ends
    lines = shown()
    assert any("CRASHED" in line for line in lines)
    assert "smoke: its process ended without an explanation" in lines
    assert "  train[x]: was not finished" in lines


def test_only_the_latest_runs_are_shown(shown):
    for _ in range(SHOWN_INVOCATIONS + 1):
        run("smoke")
    rows = [line for line in shown() if re.match("smoke", line)]
    assert len(rows) == SHOWN_INVOCATIONS


def test_a_run_in_which_the_clock_was_set_back_took_no_time_below_zero(shown, home, monkeypatch):
    log = InvocationLog("smoke", {}, [])
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    log.end("COMPLETED", "")
    assert shown("smoke")[1].split()[2:4] == ["0.0", "COMPLETED"]
    (record,) = (home / "invocations").glob("*.jsonl")
    json_lines.append(record, {"format": 1, "seconds": None})  # as before there was this number
    assert shown("smoke")[1].split()[2:3] == ["COMPLETED"]


def test_a_record_that_cannot_be_read_is_said_in_one_line(shown, home):
    run("smoke")
    newer = run("smoke")
    (record,) = (home / "invocations").glob(f"{newer}*.jsonl")
    json_lines.append(record, {"format": 99})
    message = rf"^{record} was written by a newer version of this project; it is left out$"
    with pytest.warns(match=message):
        assert len(shown()) == 2


def test_texts_of_a_record_are_shown_as_they_are(shown):
    """They may come from another machine: no markup, no control of the terminal, no second line."""
    log = InvocationLog("smoke", {}, [])
    log.task("train[/b]:fire:\x1b[2J", outcome="failed", reason="[bold]no[/b]\nsmoke: all is well")
    log.end("FAILED", "[/b] \x1b]0;title\x07 failed\x1b[1A")
    assert shown()[-4:] == [
        "",
        "smoke: [/b] ?]0;title? failed?[1A",
        r"  train[/b]:fire:?[2J: [bold]no[/b]\nsmoke: all is well",
        "run what is missing with: study rerun smoke",
    ]


@pytest.mark.parametrize("columns", ["60", "20", "1"])
def test_the_name_of_a_run_is_whole_in_a_narrow_terminal(shown, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    name = run("a-long-name-of-a-study" * 2)
    assert any(name[:15] in line.split() for line in shown())
