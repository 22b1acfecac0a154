"""What steps return, as others' entries are checked."""

import importlib
import pkgutil

import pytest

from models.measures.glossary import measured_by
from tasks import steps
from tasks.analysis.realism_gate import MEASURES
from tasks.cache.results import RESULTS, check_result
from tasks.cache.step import Step


def test_every_step_whose_entries_are_shared_has_its_results_described():
    modules = [
        importlib.import_module(one.name)
        for one in pkgutil.walk_packages(steps.__path__, "tasks.steps.")
    ]
    found = [
        value for module in modules for value in vars(module).values() if isinstance(value, Step)
    ]
    assert {step.name for step in found if step.shared} == RESULTS.keys()


@pytest.mark.parametrize("task", ["package", "report", "nothing", ""])
def test_of_other_tasks_there_are_none(task):
    with pytest.raises(ValueError, match=f"no results of '{task}' are taken from others"):
        check_result(task, {})


LOSSES, MEANS = (
    {one.name: None if one.optional else 1 if one.is_count else 0.5 for one in measured_by(step)}
    for step in ("evaluate", "correlate")
)
NETWORK = {
    "unknown": "",
    "pixels": 784,
    "unseen_pixels": 2,
    "unreachable_pixels": 2,
    "place": "row 3",
    "constants": 1,
    "floor": 0.125,
    "variance_share": 0.25,
}
MEASURED = {measure: [0.5, None] for measure in MEASURES}


@pytest.mark.parametrize(
    ("task", "result"),
    [
        ("pca", {"test_loss": [0.5, 0.25], "rank": 1, "exact": True}),
        ("reach", {"networks": [NETWORK], "reached_pixels": 5, "pca_test_loss": [0.5, 0.25]}),
        ("evaluate", {"dead": [3], "metrics": LOSSES}),
        ("correlate", {"metrics": MEANS}),
        (
            "interpolate",
            {"pair": [3, 5], "parameters": {"from": 3}},
        ),
        ("interpolation_grid", {}),
        (
            "realism",
            {
                "latent_dim": 20,
                "seed": 0,
                "counts": {"walk": 9},
                "images": {"walk": MEASURED},
                "metrics": {"walk_kid": 0.5, "walk_recall": None},
            },
        ),
    ],
)
def test_a_result_has_all_of_its_parts_and_no_others(task, result):
    check_result(task, result)
    for part in result:
        with pytest.raises(ValueError, match=part):
            check_result(task, {name: value for name, value in result.items() if name != part})
        with pytest.raises(ValueError, match=part):
            check_result(task, result | {part: "text"})
    with pytest.raises(ValueError, match="other"):
        check_result(task, result | {"other": 1})
