import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.specs import ModelSpec, TrainingRecipe
from tasks.cache.entry import Entry
from tasks.cache.step import Member, Step
from tasks.code.modules import ROOT
from tasks.steps.evaluate import evaluate
from tasks.steps.train import train
from tasks.steps.transfer import transfer

KEY = """
from models.specs import ModelSpec, TrainingRecipe
from tasks.steps.train import train
print(train.key({"dataset": "d", "spec": ModelSpec.written(), "recipe": TrainingRecipe()}))
"""


def inputs(**changes):
    return {"dataset": "d", "spec": ModelSpec.written(), "recipe": TrainingRecipe(), **changes}


def test_a_key_is_the_same_in_every_process_and_folder(tmp_path):
    script = tmp_path / "main.py"
    script.write_text(KEY)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"}
    ways = [[str(script)], ["-c", KEY], ["-m", "main"]]
    keys = {
        subprocess.run(
            [sys.executable, *way],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for way in ways
    }
    assert keys == {train.key(inputs())}


def test_a_key_follows_what_changes_the_answer():
    key = train.key(inputs())
    assert train.key(inputs(recipe=TrainingRecipe(epochs=6))) != key
    assert train.key(inputs(spec=ModelSpec.written(latent_dim=21))) != key
    assert train.key(inputs(dataset="e")) != key
    assert evaluate.key(inputs()) != key


def test_an_upstream_entry_counts_by_its_fingerprint():
    described = {"task": "data", "inputs": {}, "code": {}, "files": {}, "provenance": {}}
    first = Entry(key="a", name="x", seconds=1, result={"sha256": "1"}, **described)
    again = Entry(key="b", name="y", seconds=2, result={"sha256": "1"}, **described)
    other = Entry(key="a", name="x", seconds=1, result={"sha256": "2"}, **described)
    assert train.key(inputs(dataset=first)) == train.key(inputs(dataset=again))
    assert train.key(inputs(dataset=first)) != train.key(inputs(dataset=other))
    assert train.inputs_as_json(inputs(dataset=first))["dataset"] == first.fingerprint


def member(seed):
    recipe = TrainingRecipe(seed=seed)
    return Member(inputs(recipe=recipe), Path(f"folder-{seed}"), Path(f"checkpoints-{seed}"))


def test_a_step_computes_one_member_with_its_folders():
    one = Member({"dataset": "d", "model": "m", "pca": "p"}, Path("folder"), None)
    assert evaluate.arguments([one]) == one.inputs | {"folder": Path("folder")}
    assert evaluate.results({"metrics": {}}) == [{"metrics": {}}]
    assert transfer.arguments([member(0)])["checkpoints"] == Path("checkpoints-0")
    with pytest.raises(ValueError, match="too many values"):
        evaluate.arguments([one, one])


def test_a_seed_stack_step_computes_members_as_lists():
    members = [member(seed) for seed in (3, 4)]
    given = train.arguments(members)
    assert given["folder"] == [Path("folder-3"), Path("folder-4")]
    assert given["checkpoints"] == [Path("checkpoints-3"), Path("checkpoints-4")]
    assert [recipe.seed for recipe in given["recipe"]] == [3, 4]
    assert given["spec"] == ModelSpec.written()  # what they share is given once
    assert train.results([{}, ValueError()])[0] == {}


def test_a_step_declares_that_it_resumes():
    def keeps_checkpoints(folder, checkpoints):
        return {}

    with pytest.raises(AssertionError, match="resumable"):
        Step(keeps_checkpoints, "wrong")
    with pytest.raises(AssertionError, match="resumable"):
        Step(lambda folder: {}, "wrong", resumable=True)


@pytest.mark.parametrize("step", [train, transfer])
def test_releases_are_part_of_the_key_and_not_of_the_computation(step, tmp_path):
    key = step.key(inputs())
    with_release = inputs(versions={"torch": "2.15"})
    assert step.key(with_release) != key
    assert step.key(inputs(versions={"torch": "2.16"})) not in {key, step.key(with_release)}
    arguments = step.arguments([Member(with_release, tmp_path, tmp_path)])
    assert "versions" not in arguments
    assert step.arguments([Member(inputs(), tmp_path, tmp_path)]) == arguments
