import sys

import pytest

from tasks.execution import exact_code
from tasks.execution.exact_code import CodeChangedError, code_difference, compute_exactly
from tasks.steps.theory import check_exercises, theory


def multiply(factor):
    return {"product": 2 * factor}


@pytest.fixture
def code(monkeypatch):
    """The code that this process has, as far as a computation of this test is concerned."""
    parts = {"models.specs:Value": "1", "models.specs:": "1"}
    monkeypatch.setattr(exact_code, "code_parts", lambda module, name: dict(parts))
    return parts


def test_the_same_code_computes(code):
    assert compute_exactly(multiply, dict(code), {"factor": 3}) == {"product": 6}


def test_other_code_is_not_run(code):
    with pytest.raises(CodeChangedError, match=r"while the study was running \(models.specs:Value"):
        compute_exactly(multiply, code | {"models.specs:Value": "2"}, {"factor": 1 / 3})


def test_changed_added_and_removed_definitions_differ(code):
    asked = {"models.specs:Value": "2", "models.specs:Gone": "1"}
    names = ["models.specs:", "models.specs:Gone", "models.specs:Value"]
    assert code_difference(multiply, asked) == names
    assert code_difference(multiply, dict(code)) == []


def test_what_a_computation_reaches_is_imported_before_it_is_compared(code, monkeypatch):
    monkeypatch.delitem(sys.modules, "models.theory.angles", raising=False)
    code_difference(multiply, {"models.theory.angles:angle": "1", "tasks/templates/x.j2:": "1"})
    assert "models.theory.angles" in sys.modules


def test_a_step_of_the_project_has_its_own_code():
    assert code_difference(check_exercises, theory.code) == []
