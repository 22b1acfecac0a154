import json
from types import SimpleNamespace

import pytest

from tasks.cache.entry import Entry
from tasks.execution.dask_messages import ALLOWED_CALLS, Relay, make_call
from tasks.execution.session import TaskDisplay, TaskLog, TaskTracker
from tasks.tracking.run_plan import RunPlan
from tests.tasks.execution.sessions import EPOCH, Recorder

PLAN = RunPlan("model", "k", "train[x]", {"seed": 0}, None, {"subject": "x"})
ENTRY = Entry(
    task="train",
    key="k",
    name="train[x]",
    inputs={},
    code={},
    result={"loss": 0.5},
    files={"weights": "0" * 64},
    seconds=1.0,
    provenance={},
)


def through_json(part, *calls):
    """The calls that a relay of this part makes on the other side, after a way as JSON text."""
    session = SimpleNamespace(**{part: Recorder()})
    relay = Relay(part, lambda message: make_call(session, json.loads(json.dumps(message))))
    for method, *arguments in calls:
        getattr(relay, method)(*arguments)
    return getattr(session, part).calls


@pytest.mark.parametrize(
    ("part", "call"),
    [
        ("display", ("begin", "train[x]")),
        ("display", ("epoch", "train[x]", EPOCH)),
        ("display", ("warn", "be careful")),
        ("tracker", ("begin", PLAN)),
        ("tracker", ("log_epoch", PLAN, EPOCH)),
        ("tracker", ("log_entry", PLAN, ENTRY)),
        ("tracker", ("fail", PLAN, "FAILED")),
    ],
)
def test_a_call_arrives_as_it_was_made(part, call):
    (arrived,) = through_json(part, call)
    assert arrived == call
    assert [type(value) for value in arrived] == [type(value) for value in call]


def test_named_arguments_arrive_under_their_names():
    sent = []
    Relay("log", sent.append).task("train[x]", key="k")
    assert sent == [{"part": "log", "do": "task", "arguments": ["train[x]"], "named": {"key": "k"}}]


@pytest.mark.parametrize(
    ("part", "do"),
    [("display", "stop"), ("tracker", "finish_study"), ("workers", "stop"), ("log", "__init__")],
)
def test_a_call_that_is_not_allowed_is_refused(part, do):
    session = SimpleNamespace(**{part: Recorder()})
    message = {"part": part, "do": do, "arguments": [], "named": {}}
    with pytest.raises(ValueError, match=rf"called {part}\.{do}, which tasks must not call"):
        make_call(session, message)
    assert getattr(session, part).calls == []


def test_a_relay_has_exactly_the_methods_that_tasks_use():
    for part, protocol in {"display": TaskDisplay, "tracker": TaskTracker, "log": TaskLog}.items():
        used = {name for name in vars(protocol) if not name.startswith("_")}
        assert ALLOWED_CALLS[part].keys() == used
        assert vars(Relay(part, print)).keys() == used


@pytest.mark.parametrize(
    ("part", "do", "arguments", "named"),
    [
        ("display", "begin", [{"a": 1}], {}),
        ("display", "begin", [], {}),
        ("display", "begin", ["a", "b"], {}),
        ("display", "begin", ["a"], {"name": "b"}),
        ("display", "epoch", ["a", {"epoch": "<script>"}], {}),
        ("tracker", "begin", [{"kind": "model"}], {}),
        ("tracker", "begin", [PLAN._asdict() | {"more": 1}], {}),
        ("tracker", "log_entry", [PLAN._asdict(), {"task": "train"}], {}),
        ("tracker", "log_entry", [PLAN._asdict(), ENTRY.model_dump() | {"key": "../.."}], {}),
        ("log", "task", ["a"], {"outcome": "deleted"}),
        ("log", "task", ["a"], {"config": {}}),
        ("log", "task", ["a"], {"key": 3}),
    ],
)
def test_arguments_of_other_types_are_refused(part, do, arguments, named):
    session = SimpleNamespace(**{part: Recorder()})
    with pytest.raises(ValueError, match=r"\S"):
        make_call(session, {"part": part, "do": do, "arguments": arguments, "named": named})
    assert getattr(session, part).calls == []
