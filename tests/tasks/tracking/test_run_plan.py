import json

from models.specs import ModelSpec, TrainingRecipe
from tasks.cache.entry import Entry
from tasks.cache.step import Step
from tasks.tracking.run_plan import RunPlan, describe_dataset

IDENTITY = {"depth": 2, "seed": 0}


def entry(task, result, **identity):
    return Entry(
        task=task,
        key=f"key_of_{task}",
        name=f"{task}[x]",
        identity=identity,
        inputs={},
        code={},
        result=result,
        files={},
        seconds=1,
        provenance={},
    )


DATASET = entry(
    "data",
    {"name": "digits", "sha256": "ab", "n_train": 8, "n_test": 4, "n_classes": 2}
    | {"classes": ["a", "b"], "image_shape": [1, 28, 28], "n_validation": 0, "seen": 1},
)


def compute(folder):
    """Stands for a computation; no plan runs it."""


def test_a_run_of_its_own_has_the_parameters_known_before_computing():
    step = Step(compute, "train", kind="model")
    inputs = {
        "dataset": DATASET,
        "spec": ModelSpec.written(depth=2),
        "recipe": TrainingRecipe(seed=7),
    }
    plan = RunPlan.for_task(step, "key", IDENTITY, inputs)
    assert (plan.kind, plan.key, plan.name) == ("model", "key", "train[depth=2, seed=0]")
    assert plan.identity == IDENTITY
    assert plan.dataset == describe_dataset(DATASET)
    known = {"dataset": "digits", "dataset_sha256": "ab", "depth": 2, "seed": 7, "epochs": 5}
    assert plan.parameters.items() >= known.items()
    assert RunPlan(**json.loads(json.dumps(plan._asdict()))) == plan  # as in a spool


def test_an_entry_that_adds_to_a_run_has_the_plan_of_that_run():
    step = Step(compute, "evaluate", logs_to="model")
    model = entry("train", {}, depth=3)
    plan = RunPlan.for_task(step, "key", IDENTITY, {"model": model, "dataset": DATASET})
    assert plan == RunPlan("", "key_of_train", "train[x]", {}, None, {"depth": 3})


def test_a_task_without_a_run_has_no_plan():
    assert RunPlan.for_task(Step(compute, "pca"), "key", IDENTITY, {"dataset": DATASET}) is None


def test_plans_of_old_spools_have_no_identity():
    old = {"kind": "model", "key": "k", "name": "n", "parameters": {}, "dataset": None}
    assert RunPlan(**old).identity == {}


def test_a_dataset_is_described_by_what_identifies_it():
    found = describe_dataset(DATASET)
    sizes = ["n_train", "n_test", "n_validation", "n_classes", "classes", "image_shape"]
    assert list(found) == ["name", "sha256", *sizes]
