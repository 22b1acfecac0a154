import subprocess
import sys

import pytest

from flows.config import SECTIONS
from flows.load import load_config
from flows.plan import PlannedTask, code_changes, make_plan, plan_json, print_plan, totals
from flows.rerun import matching
from models.specs import ConfigError


@pytest.fixture
def config():
    return load_config("smoke")


def test_without_a_store_everything_would_run_in_the_order_of_the_diagram(config):
    plan = make_plan(config, SECTIONS)
    assert len(plan) == 43
    assert all(task.action == "run" for task in plan)
    assert plan[0].reasons == ["never run"]
    by_name = {task.name: task for task in plan}
    model = by_name["evaluate[depth=1, latent_dim=5, seed=0]"]
    assert "upstream train[depth=1, latent_dim=5, seed=0] will run" in model.reasons
    assert plan[-1].name == "report[smoke]"
    assert totals(plan) == (0, 43)


def test_planning_needs_neither_prefect_nor_mlflow_nor_torch():
    check = (
        "import sys; from flows.plan import make_plan; from flows.load import load_config; "
        "from flows.config import SECTIONS; make_plan(load_config('smoke'), SECTIONS); "
        "assert not {'prefect', 'mlflow', 'torch', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


def test_changed_code_is_named_by_file_and_definition():
    before = {"models.autoencoder:Decoder": "1", "models.metrics:fit_pca": "1", "tasks.pca:": "1"}
    after = {"models.autoencoder:Decoder": "2", "models.metrics:dead_units": "1", "tasks.pca:": "2"}
    assert list(code_changes(before, after)) == [
        "models/autoencoder.py changed: Decoder",
        "models/metrics.py changed: fit_pca, dead_units",
        "tasks/pca.py changed",
    ]
    template = {"tasks/templates/report.html.j2:": "1"}
    assert list(code_changes(template, {})) == ["tasks/templates/report.html.j2 changed"]


def test_a_plan_reads_well(capsys):
    plan = [
        PlannedTask(name="data[digits]", action="cached", seconds=9),
        PlannedTask(name="train[a]", action="run", reasons=["training.epochs 5 -> 10"], seconds=60),
        PlannedTask(name="train[b]", action="run", reasons=list("abcde"), seconds=None),
    ]
    print_plan(plan, width=2)
    assert capsys.readouterr().out.splitlines() == [
        "cached            data[digits]",
        "run       60.0 s  train[a]: training.epochs 5 -> 10",
        "run          ? s  train[b]: a; b; c; and 2 more",
        "1 cached, 2 to run: about 60 s of computing, 30 s with 2 at once, "
        "and 1 tasks that were never timed",
    ]
    assert '"seconds": 60.0' in plan_json(plan)


def test_patterns_choose_tasks(config):
    def chosen(*patterns):
        return matching(list(patterns), config, SECTIONS)

    model = "train[depth=2, latent_dim=2, seed=0]"
    assert chosen(model) == [model]
    assert chosen("train[depth=2, *]") == ["train[depth=2, latent_dim=5, seed=0]", model]
    assert chosen("pca*", "data[digits]", "pca*") == ["pca[digits]", "data[digits]"]
    with pytest.raises(
        ConfigError, match=r"'train\[depth=7\*': no such task in study smoke; there are train"
    ):
        chosen("train[depth=7*")
