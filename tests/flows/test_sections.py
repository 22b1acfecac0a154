"""The order in which a study's tasks are submitted, and what each is given."""

import pytest

from flows.config import SECTIONS
from flows.load import load_config
from flows.sections import submit_sections
from flows.work import training_work, transfer_work
from models.specs import ModelSpec


class Recorder:
    """A graph that writes down what it is given."""

    def __init__(self):
        self.inputs = {}

    def submit(self, step, label, group=None, **inputs):
        name = f"{step.name}[{label}]"
        assert name not in self.inputs, f"{name} twice"
        self.inputs[name] = inputs
        return name


def submitted(*overrides, sections=SECTIONS):
    recorder = Recorder()
    submit_sections(recorder, load_config("mnist", list(overrides)), sections)
    return recorder.inputs


def test_what_transfer_waits_for_is_trained_first_then_the_longest():
    trainings = [name for name in submitted() if name.startswith("train[")]
    assert trainings[:3] == [
        "train[depth=3, latent_dim=20, seed=0]",
        "train[depth=3, latent_dim=20, seed=0, recipe=as_reported]",
        "train[depth=2, latent_dim=100, seed=0]",
    ]
    assert trainings[-1] == "train[depth=1, latent_dim=20, seed=0]"
    assert len(trainings) == 9


def test_every_task_comes_behind_what_it_needs():
    inputs = submitted("seeds=[0,1]")
    place = {name: index for index, name in enumerate(inputs)}
    for name, given in inputs.items():
        for value in given.values():
            for upstream in value if isinstance(value, list) else [value]:
                if isinstance(upstream, str) and upstream in place:
                    assert place[upstream] < place[name]


def test_as_reported_stands_on_an_encoder_trained_as_reported():
    inputs = submitted()
    models = {
        name: given["model"] for name, given in inputs.items() if name.startswith("transfer[")
    }
    assert len(models) == 15
    for name, model in models.items():
        assert model.endswith("recipe=as_reported]") is ("scenario=as_reported" in name)


def test_a_study_that_trains_as_reported_needs_no_second_encoder():
    recorder = Recorder()
    submit_sections(recorder, load_config("mnist-as-reported"), SECTIONS)
    assert not any("recipe=as_reported" in name for name in recorder.inputs)


def test_only_as_reported_trains_no_other_encoder():
    inputs = submitted("transfer.scenarios=[as_reported]", sections=("transfer",))
    trainings = [name for name in inputs if name.startswith("train[")]
    assert trainings == ["train[depth=3, latent_dim=20, seed=0, recipe=as_reported]"]


@pytest.mark.parametrize("name", ["latent_sweep", "depth_sweep", "interpolation", "decorrelation"])
def test_a_section_trains_only_what_it_needs(name):
    inputs = submitted(sections=(name,))
    trained = sum(task.startswith("train[") for task in inputs)
    expected = {"latent_sweep": 6, "depth_sweep": 3, "interpolation": 2, "decorrelation": 6}
    assert trained == expected[name]
    assert any(task.startswith("correlate[") for task in inputs) is (name == "decorrelation")


def test_work_grows_with_depth_size_epochs_and_labels():
    assert training_work(ModelSpec(depth=2, latent_dim=100), 5) > training_work(
        ModelSpec(depth=2, latent_dim=20), 5
    )
    assert training_work(ModelSpec(depth=1), 5) < training_work(ModelSpec(depth=2), 2)
    config = load_config("mnist")
    work = {
        (case.trained, case.label_budget): transfer_work(case, config.transfer_model)
        for case in config.transfers(0)
        if case.scenario in {"head_only", "fine_tune"}
    }
    assert work["head_and_encoder", "all"] == max(work.values())
    assert work["head", "all"] < work["head_and_encoder", 100]
