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
        assert ALLOWED_CALLS[part] == used
        assert vars(Relay(part, print)).keys() == used
