"""Pipelines of own steps: the example, from the command line and from Python."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.pipeline import Pipeline
from models.specs import ConfigError
from tests.conftest import model_runs, study_runs

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "minimal_dag.py"


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """A copy of the example that a test may edit."""
    return Path(shutil.copy(EXAMPLE, tmp_path_factory.mktemp("elsewhere") / "minimal_dag.py"))


@pytest.fixture
def run(script, environment, monkeypatch):
    monkeypatch.setenv("STUDY_HOME", environment["STUDY_HOME"])

    def call(*arguments, **variables):
        return subprocess.run(
            [sys.executable, str(script), *arguments],
            env=environment | {"PYTHONPATH": str(ROOT)} | variables,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return call


def edited(script, old, new):
    """The lines of a plan after an edit that is taken back."""
    text = script.read_text()
    assert old in text
    script.write_text(text.replace(old, new))
    return text


def test_the_example_is_short():
    assert len(EXAMPLE.read_text().splitlines()) < 60


@pytest.mark.slow
def test_the_example_runs_is_cached_and_names_what_an_edit_changes(run, script):
    assert run("plan").stdout.splitlines()[-1].startswith("0 cached, 6 to run")
    first = run()
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    assert "6 done; compare the runs with: study ui" in first.stdout
    assert "6 cached, 0 to run" in run("plan").stdout
    (parent,) = study_runs("polynomials")
    assert parent.info.status == "FINISHED"
    fits = model_runs("fit")
    assert sorted(fit.data.params["degree"] for fit in fits) == ["1", "2", "3", "5"]
    assert all(0 < fit.data.metrics["test_mse"] < 1 for fit in fits)

    for old, new, cached, reason in [
        ("# each has", "# a comment: each has", 6, ""),
        ("x[::2], y[::2]", "x[::3], y[::3]", 1, "minimal_dag.py changed: fit_polynomial"),
        ("SEED, DEGREES = 0,", "SEED, DEGREES = 1,", 0, "never run"),
        ("(1, 2, 3, 5)", "(1, 2, 3)", 4, "best: "),
    ]:
        text = edited(script, old, new)
        plan = run("plan").stdout
        script.write_text(text)
        assert f"{cached} cached" in plan, (new, plan)
        assert reason in plan

    text = edited(script, "fits = [", "fits = [1 / 0 * ")
    broken = run()
    script.write_text(text)
    assert broken.returncode == 1
    assert "division by zero" in broken.stderr.splitlines()[-1]
    assert "Traceback" not in broken.stderr
    assert study_runs("polynomials")[0].info.status == "FAILED"


@pytest.mark.slow
def test_a_failed_task_is_one_line_and_the_next_run_continues(run, script):
    text = edited(script, "SEED, DEGREES = 0,", "SEED, DEGREES = 7,")
    failed = run(STUDY_FAILPOINT="best")
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("polynomials: 1 of 6 failed: best: ")
    assert "[6/6] best done" in run().stdout
    script.write_text(text)


def test_a_wrong_argument_is_one_line(run):
    found = run("plam")
    assert found.returncode == 2
    assert found.stderr == (
        "polynomials: 'plam': choose plan: what would run; run (the default): run it\n"
    )


@pytest.mark.parametrize(
    ("name", "words"), [("Digits", "a shipped study has this name"), ("a b", "use letters")]
)
def test_names_that_cannot_be_used(name, words):
    with pytest.raises(ConfigError, match=words):
        Pipeline(name, lambda graph: None)


def test_a_script_without_a_guard_is_refused(tmp_path, environment):
    text = EXAMPLE.read_text().replace('if __name__ == "__main__":\n    ', "")
    script = tmp_path / "unguarded.py"
    script.write_text(text)
    found = subprocess.run(
        [sys.executable, str(script), "plan"],
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 2
    assert "below if __name__ == '__main__':" in found.stderr
    assert os.linesep + "Traceback" not in found.stderr


@pytest.mark.slow
def test_a_pipeline_is_not_rerun_as_a_study(study, run):
    run()
    found = study("rerun", "polynomials")
    assert found.returncode == 2
    assert "polynomials is a pipeline, no study; start it again with: python" in found.stderr
