"""A study's flows, without tasks."""

from types import SimpleNamespace

import pytest

from flows import study
from flows.configuration.load import load_config
from flows.configuration.study_config import SECTIONS
from flows.study import SECTION_FLOWS, _submit
from tests.tasks.execution.sessions import Recorder

CONFIG = load_config("smoke")


def test_an_error_while_submitting_lets_waiting_tasks_end(monkeypatch):
    def refuse(*_):
        raise ValueError("no dataset")

    monkeypatch.setattr(study, "submit_sections", refuse)
    stacks = Recorder()
    session = SimpleNamespace(stacks=stacks, display=Recorder())  # a single seed is noted
    graph = SimpleNamespace(session=session)
    with pytest.raises(ValueError, match="no dataset"):
        _submit(graph, CONFIG, SECTIONS)
    assert stacks.calls == [("mark_all_submitted",)]


def test_every_section_has_a_flow_of_its_name():
    assert list(SECTION_FLOWS) == list(SECTIONS)
    names = [flow.name for flow in SECTION_FLOWS.values()]
    assert names == [section.replace("_", "-") for section in SECTIONS]
