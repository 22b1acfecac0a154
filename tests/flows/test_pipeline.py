"""Pipelines of own steps: the example, from the command line and from Python."""

import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from flows.pipeline import Pipeline
from models.specs import ConfigError
from tasks.cache.step import Step
from tasks.execution.invocations import invocations
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
    assert "minimal_dag.py" in broken.stderr, "the place of a mistake in submit is shown"
    assert broken.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert len(study_runs("polynomials")) == 1, "nothing was started"


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


def compute(folder, x=None):
    return {"metrics": {"x": x}}


STEP = Step(compute, "count")


def nested():
    def inner(folder):
        return {}

    return Step(inner, "inner")


@pytest.mark.parametrize(
    ("submit", "words"),
    [
        (lambda graph: None, "has submitted no task"),
        (lambda graph: graph.submit(STEP, {}, x=Path("a")), "count: input 'x': PosixPath"),
        (lambda graph: graph.submit(STEP, {}, x=[np.zeros(2)]), "count: input 'x': ndarray"),
        (lambda graph: graph.submit(STEP, {"n": np.int64(1)}), r"count\[n=1\]: 'n', which dist"),
        (lambda graph: graph.submit(STEP, {}, y=1), "count: compute: .*unexpected.* 'y'"),
        (lambda graph: graph.submit(Step(compute, "a b"), {}), "step 'a b': its name has"),
        (lambda graph: graph.submit(nested(), {}), "is not at the top level of a file"),
        (lambda graph: graph.submit(Step(lambda folder: {}, "l"), {}), "is not at the top level"),
        (
            lambda graph: [graph.submit(STEP, {}, x=x) for x in (1, 2)],
            "two tasks are called count; say in the second argument",
        ),
    ],
)
def test_mistakes_are_found_before_anything_runs(submit, words):
    with pytest.raises(ConfigError, match=words):
        Pipeline("mistakes", submit).plan()
    with pytest.raises(ConfigError, match=words):
        Pipeline("mistakes", submit).run()


def test_a_task_may_be_an_input_in_lists_and_mappings():
    def submit(graph):
        first = graph.submit(STEP, {"n": 1}, x=1)
        graph.submit(STEP, {"n": 2}, x={"a": [first, 2]})

    assert [task.name for task in Pipeline("nodes", submit).plan().tasks] == [
        "count[n=1]",
        "count[n=2]",
    ]


def test_a_pipeline_is_run_by_the_main_thread():
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(Pipeline("thread", lambda graph: graph.submit(STEP, {}, x=1)).run)
    with pytest.raises(ConfigError, match="by the main thread"):
        found.result()


@pytest.mark.slow
def test_a_killed_run_is_closed_by_the_next_one(run, script, environment):
    text = edited(script, "    random = np", "    import time; time.sleep(30)\n    random = np")
    slow = [sys.executable, str(script)]
    variables = environment | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(slow, env=variables, stdout=subprocess.PIPE, text=True) as killed:
        while not any(one.tasks for one in invocations("polynomials") if one.ended is None):
            time.sleep(0.1)
        time.sleep(3)  # its parent run is open in MLflow
        killed.kill()
    script.write_text(text)
    after = run()
    assert (after.returncode, after.stderr) == (0, "")
    states = [one.info.status for one in study_runs("polynomials")]
    assert states[:2] == ["FINISHED", "KILLED"]
    assert next(invocations("polynomials")).state == "COMPLETED"


@pytest.mark.slow
def test_a_package_is_run_by_its_name(tmp_path, environment):
    package = tmp_path / "mine"
    package.mkdir()
    text = EXAMPLE.read_text().replace("import numpy", "from mine import helpers\nimport numpy")
    (package / "pipe.py").write_text(text.replace("0.1, n)", "helpers.noise(), n)"))
    (package / "helpers.py").write_text("def noise():\n    return 0.1\n")

    def plan():
        return subprocess.run(
            [sys.executable, "-m", "mine.pipe", "plan"],
            cwd=tmp_path,
            env=environment | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    ran = subprocess.run(
        [sys.executable, "-m", "mine.pipe"],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "6 cached, 0 to run" in plan()
    (package / "helpers.py").write_text("def noise():\n    return 0.2\n")
    assert "mine/helpers.py changed: noise" in plan()


@pytest.mark.slow
def test_a_pipeline_is_not_rerun_as_a_study(study, run):
    run()
    found = study("rerun", "polynomials")
    assert found.returncode == 2
    assert "polynomials is a pipeline, no study; start it again with: python" in found.stderr
