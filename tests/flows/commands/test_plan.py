import json

import pytest

from flows.commands.plan import plan, print_plan
from flows.planned import Plan, PlannedTask

TASKS = [
    PlannedTask(name="data[digits]", action="cached", seconds=9),
    PlannedTask(name="train[a]", action="run", reasons=["training.epochs 5 -> 10"], seconds=60),
    PlannedTask(name="train[b]", action="run", reasons=list("abcde"), seconds=None),
]


@pytest.fixture
def planned(monkeypatch):
    """Replaces the tasks of every plan."""

    def replace(tasks):
        monkeypatch.setattr("flows.plan.make_plan", lambda config, sections: Plan(tasks=tasks))

    return replace


def test_a_plan_is_a_line_for_each_task_and_a_sum(capsys):
    print_plan(Plan(tasks=TASKS, notes=["releases are mixed"], tasks_at_once=2))
    assert capsys.readouterr().out.splitlines() == [
        "cached            data[digits]",
        "run       60.0 s  train[a]: training.epochs 5 -> 10",
        "run          ? s  train[b]: a; b; c; and 2 more",
        "1 cached, 2 to run: about 60 s of computing, 30 s with 2 at once, "
        "and 1 tasks that were never timed",
        "note: releases are mixed",
    ]


def test_other_programs_get_every_reason_and_the_sum(capsys):
    print_plan(Plan(tasks=TASKS), as_json=True)
    plan = json.loads(capsys.readouterr().out)
    assert (plan["seconds"], plan["without_estimate"]) == (60.0, 1)
    assert plan["notes"] == []
    assert plan["tasks"][2] == {
        "name": "train[b]",
        "action": "run",
        "reasons": ["a", "b", "c", "d", "e"],
        "seconds": None,
    }


def test_a_plan_is_a_table_for_python():
    table = Plan(tasks=TASKS).to_frame()
    assert list(table.columns) == ["name", "action", "reasons", "seconds"]
    assert list(table.reasons) == ["", "training.epochs 5 -> 10", "a; b; c; d; e"]


def test_a_check_fails_if_any_task_would_run(planned, capsys):
    planned(TASKS[:1])
    plan("smoke", check=True)
    planned(TASKS)
    plan("smoke")
    with pytest.raises(SystemExit) as ended:
        plan("smoke", as_json=True, check=True)
    assert ended.value.code == 1
    said = capsys.readouterr().out
    assert "1 cached, 0 to run\n" in said
    assert '"without_estimate": 1' in said


def test_names_and_reasons_are_shown_as_they_are(capsys):
    task = PlannedTask(name="train[/b]:fire:", action="run", reasons=["a\x1b[2J\nrun b"], seconds=1)
    print_plan(Plan(tasks=[task], notes=["of [/b]\x1b[2J"]))
    first, _, note = capsys.readouterr().out.splitlines()
    assert first == r"run        1.0 s  train[/b]:fire:: a?[2J\nrun b"
    assert note == "note: of [/b]?[2J"
