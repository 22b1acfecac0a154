"""Steps of another project: their code counts like this project's."""

import sys

import pytest

from tasks.cache.step import Step
from tasks.code.code_digest import clear_code_snapshot, code_parts, shown_part
from tasks.code.modules import PROJECT, modules_around

SCRIPT = """
import helpers
from tasks.cache.canonical import digest

def compute(folder, x):
    return {"metrics": {"y": helpers.double(x)}, "digest": digest(x)}

def unused():
    return 1
"""
HELPERS = "def double(x):\n    return 2 * x\n\ndef unused():\n    return 3\n"


@pytest.fixture
def parts(tmp_path, monkeypatch):
    """Writes the two files, and gives the parts of ``compute``."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(script=SCRIPT, helpers=HELPERS):
        (tmp_path / "word_counts.py").write_text(script)
        (tmp_path / "helpers.py").write_text(helpers)
        clear_code_snapshot()
        return code_parts("word_counts", "compute")

    yield make
    for name in ("word_counts", "helpers"):
        sys.modules.pop(name, None)
    clear_code_snapshot()


def test_what_a_step_reaches_counts(parts):
    found = parts()
    assert {"word_counts:compute", "helpers:double"} <= found.keys()
    assert "tasks.cache.canonical:digest" in found  # this project's code, too
    assert "word_counts:unused" not in found
    assert "helpers:unused" not in found


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"helpers": HELPERS.replace("2 *", "3 *")}, False),
        ({"script": SCRIPT.replace("double(x)", "double(x + 1)")}, False),
        ({"helpers": HELPERS.replace("return 3", "return 4")}, True),
        ({"script": SCRIPT.replace("def compute", "# a comment\ndef compute")}, True),
        ({"script": f"import numpy\n{SCRIPT}"}, True),  # a library is not followed
        ({"script": f"{SCRIPT}\nX = eval('1')\n"}, False),  # all of it counts
    ],
)
def test_an_edit_counts_if_the_step_reaches_it(parts, changed, same):
    before = parts()
    assert (parts(**changed) == before) is same


def test_a_file_is_shown_below_its_project(parts):
    parts()
    assert shown_part("helpers:double") == "helpers.py"
    assert shown_part("tasks.cache.canonical:digest") == "tasks/cache/canonical.py"


def test_the_project_of_a_module():
    assert modules_around("tasks.cache.step") is PROJECT
    assert modules_around("numpy.linalg").package == "numpy"  # installed among libraries
    assert modules_around("posix") is PROJECT  # it has no file
    with pytest.raises(ValueError, match="import the script by its name"):
        modules_around("__main__")


def test_a_step_has_a_key_of_its_code(parts):
    parts()
    import word_counts

    step = Step(word_counts.compute, "count")
    before = step.key({"x": 1})
    parts(helpers=HELPERS.replace("2 *", "5 *"))
    assert step.key({"x": 1}) != before
