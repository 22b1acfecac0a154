"""The order in which a study's tasks are submitted, and what each is given."""

import json

import pytest
from PIL import Image

from flows.configuration.load import load_config
from flows.configuration.study_config import SECTIONS
from flows.sections import check_dataset, left_out, submit_report, submit_sections
from models.specs import ConfigError
from tasks.cache.identity import task_name


class Recorder:
    """A graph that records the inputs of each task."""

    def __init__(self):
        self.inputs, self.groups = {}, {}

    def submit(self, step, identity, group=None, **inputs):
        name = task_name(step.name, identity)
        assert name not in self.inputs, f"{name} twice"
        self.inputs[name] = inputs
        self.groups[name] = group or step.name
        return name


def submitted(*overrides, sections=SECTIONS):
    recorder = Recorder()
    submit_sections(recorder, load_config("mnist", list(overrides)), sections)
    return recorder.inputs


def test_the_encoder_of_transfer_is_trained_first_then_the_longest():
    trainings = [name for name in submitted() if name.startswith("train[")]
    assert trainings[:3] == [
        "train[depth=3, latent_dim=20, seed=0]",
        "train[depth=3, latent_dim=20, seed=0, recipe=as_reported]",
        "train[depth=2, latent_dim=100, seed=0]",
    ]
    assert trainings[-1].startswith("train[depth=1, latent_dim=20, seed=0")
    assert len(trainings) == 2 * 8


def test_every_task_comes_after_what_it_needs():
    inputs = submitted("seeds=[0,1]")
    place = {name: index for index, name in enumerate(inputs)}
    for name, given in inputs.items():
        for value in given.values():
            for upstream in value if isinstance(value, list) else [value]:
                if isinstance(upstream, str) and upstream in place:
                    assert place[upstream] < place[name]


def test_as_reported_uses_an_encoder_trained_as_reported():
    inputs = submitted()
    models = {
        name: given["model"] for name, given in inputs.items() if name.startswith("transfer[")
    }
    assert len(models) == 51 + 2  # and two judges
    for name, model in models.items():
        repeats = "scenario=as_reported" in name or "scenario=ablation" in name
        if "scenario=from_scratch" in name:
            assert model is None
        else:
            assert model.endswith("recipe=as_reported]") is repeats


def test_a_study_that_trains_as_reported_needs_no_second_encoder():
    recorder = Recorder()
    submit_sections(recorder, load_config("mnist-as-reported"), SECTIONS)
    assert not any("recipe=as_reported" in name for name in recorder.inputs)


def test_only_as_reported_trains_no_other_encoder():
    inputs = submitted("transfer.scenarios=[as_reported]", sections=("transfer",))
    trainings = [name for name in inputs if name.startswith("train[")]
    assert trainings == ["train[depth=3, latent_dim=20, seed=0, recipe=as_reported]"]


@pytest.mark.parametrize(
    "name", ["latent_sweep", "depth_sweep", "interpolation", "decorrelation", "representation"]
)
def test_a_section_trains_only_what_it_needs(name):
    inputs = submitted(sections=(name,))
    trained = sum(task.startswith("train[") for task in inputs)
    # latent sizes and depths are trained with two recipes
    expected = {"latent_sweep": 12, "depth_sweep": 6, "interpolation": 2, "decorrelation": 6}
    expected["representation"] = 6 + 2  # two depths are not in the latent sweep
    assert trained == expected[name]
    assert any(task.startswith("correlate[") for task in inputs) is (name == "decorrelation")


def test_walks_of_the_first_seed_are_drawn():
    inputs = submitted("seeds=[3,4]", sections=("interpolation",))
    walks = [name for name in inputs if name.startswith("interpolate[")]
    assert len(walks) == 4 * 2
    assert all("seed=3" in name for name in walks)
    assert inputs["interpolation_grid[seed=3]"]["walks"] == walks


def test_the_walks_of_every_model_are_judged_by_the_same_classifiers():
    inputs = submitted("seeds=[3,4]", sections=("interpolation",))
    measured = {name: given for name, given in inputs.items() if name.startswith("realism[")}
    assert len(measured) == 2 * 2
    assert (
        "[depth=2, latent_dim=100, seed=4]" in measured["realism[latent_dim=100, seed=4]"]["model"]
    )
    judging = [name for name in inputs if name.startswith("transfer[")]
    assert len(judging) == 3
    for given in measured.values():
        assert sorted(given["judges"]) == sorted(judging)
        assert given["pairs"] == ((3, 5), (5, 8), (0, 4), (2, 9))


def test_a_judge_that_is_no_classifier_of_the_study_is_in_no_table_of_them():
    recorder = Recorder()
    submit_sections(recorder, load_config("mnist", ["seeds=[3,4]"]), SECTIONS)
    judging = recorder.inputs["realism[latent_dim=20, seed=3]"]["judges"]
    groups = [(name[name.index("seed=") :][:6], recorder.groups[name]) for name in judging]
    assert groups == [("seed=3", "transfer"), ("seed=4", "transfer"), ("seed=0", "judge")]
    packaged = [given["model"] for name, given in recorder.inputs.items() if "package" in name]
    assert set(judging) & set(packaged) == {judging[0]}  # of the first seed


def test_models_of_the_first_seed_that_can_be_used_are_packaged():
    inputs = submitted("seeds=[4,1]")
    packaged = {given["model"] for name, given in inputs.items() if name.startswith("package[")}
    assert all("seed=4" in name for name in packaged)
    of_first_seed = {name for name in inputs if name.startswith("train[") and "seed=4" in name}
    assert of_first_seed - packaged == {name for name in of_first_seed if "as_reported" in name}
    transfers = {name for name in packaged if name.startswith("transfer[")}
    assert not any("as_reported" in name or "ablation" in name for name in transfers)
    assert len(transfers) == 15


def test_theory_reads_no_data():
    assert list(submitted(sections=("theory",))) == ["theory[exercises]"]


def test_sections_that_need_labels_are_left_out_without_them(tmp_path):
    for index in range(12):
        Image.new("L", (8, 8), index * 20).save(tmp_path / f"{index}.png")
    own = ["dataset.name=folder", f"dataset.path={tmp_path}"]
    config = load_config("mnist", own)
    assert set(left_out(config, SECTIONS)) == {"interpolation", "transfer"}
    kinds = {name.partition("[")[0] for name in submitted(*own)}
    without_labels = {"data", "train", "pca", "reach", "package", "evaluate", "correlate"}
    without_labels |= {"encode", "probe", "traverse", "similarity", "latent_map"}
    assert kinds == without_labels | {"theory"}


def test_a_study_may_have_the_release_of_torch_in_every_key():
    assert not any("versions" in given for given in submitted().values())
    asked = submitted("versions_in_key=true")
    assert asked.keys() == submitted().keys()
    assert all(given["versions"].keys() == {"torch"} for given in asked.values())


def test_margins_change_the_report_and_nothing_else():
    asked = ["margins.relative=5", "margins.accuracy=1"]
    assert submitted(*asked) == submitted()
    config = load_config("mnist", asked)
    report = Recorder()
    submit_report(report, config, SECTIONS, {}, [])
    (given,) = report.inputs.values()
    assert given["config"]["margins"] == {"relative": 5.0, "accuracy": 1.0}


def test_what_a_dataset_lacks_is_said_before_anything_runs():
    two = "seeds=[0,1]"
    config = load_config("mnist", [two, "transfer.label_budgets=[100, 60000, 70000]"])
    said = ["transfer.label_budgets: 70000 means all 60,000 training images"]
    assert check_dataset(config, SECTIONS) == said
    assert check_dataset(config, ("latent_sweep",)) == []
    config = load_config("mnist", [two, "interpolation.pairs=[[3, 10]]"])
    with pytest.raises(ConfigError, match=r"no class 10; choose from 0, 1, 2, 3, 4 and 5 more"):
        check_dataset(config, SECTIONS)
    assert check_dataset(config, ("latent_sweep", "transfer")) == []
    missing = ["dataset={name: folder, path: /nowhere/at/all}"]
    with pytest.raises(ConfigError, match=r"^dataset\.path: /nowhere/at/all does not exist"):
        check_dataset(load_config("mnist", missing), SECTIONS)
    assert check_dataset(load_config("mnist", missing), ("theory",)) == []


def test_a_single_seed_is_told_what_more_would_cost():
    (note,) = check_dataset(load_config("mnist", ["seeds=[7]"]), SECTIONS)
    expected = "one seed decides no claim on losses or accuracies; "
    assert note.startswith(expected + "5 seeds (--set seeds=[7,8,9,10,11]) take")
    longer = load_config("mnist", ["seeds=[7]", "training.epochs=50"])
    minutes = [
        int(said.split("about ")[1].split()[0]) for said in (note, *check_dataset(longer, SECTIONS))
    ]
    assert 2 < minutes[0] < minutes[1] / 3
    assert check_dataset(load_config("mnist", ["seeds=[7]"]), ("theory",)) == []


def test_walks_are_named_by_their_classes(tmp_path):
    for name in ("1", "2", "10", "cat", "01"):
        (tmp_path / name).mkdir()
        for level in range(10):
            Image.new("L", (28, 28), level).save(tmp_path / name / f"{level}.png")
    own = {"name": "folder", "path": str(tmp_path)}
    pairs = "{pairs: [[1, 10], [2, cat], ['01', 10]], latent_dims: [2]}"
    inputs = submitted(f"dataset={json.dumps(own)}", f"interpolation={pairs}")
    walks = {
        name: given["pair"] for name, given in inputs.items() if name.startswith("interpolate[")
    }
    assert walks == {
        "interpolate[1->10, latent_dim=2, seed=0]": (1, 3),
        "interpolate[2->cat, latent_dim=2, seed=0]": (2, 4),
        "interpolate[01->10, latent_dim=2, seed=0]": (0, 3),
    }
