import os
import subprocess
import sys

import pytest

from models.specs import ModelSpec, TrainingRecipe
from tasks import step
from tasks.code_digest import ROOT
from tasks.evaluate import evaluate
from tasks.step import CodeChangedError, compute_exactly, leaves
from tasks.store import Entry
from tasks.train import train

KEY = """
from models.specs import ModelSpec, TrainingRecipe
from tasks.train import train
print(train.key({"dataset": "d", "spec": ModelSpec(), "recipe": TrainingRecipe()}))
"""


def inputs(**changes):
    return {"dataset": "d", "spec": ModelSpec(), "recipe": TrainingRecipe(), **changes}


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
    assert train.key(inputs(spec=ModelSpec(latent_dim=21))) != key
    assert train.key(inputs(dataset="e")) != key
    assert evaluate.key(inputs()) != key


def test_an_upstream_entry_counts_by_its_content():
    described = {"task": "data", "inputs": {}, "code": {}, "files": {}, "provenance": {}}
    first = Entry(key="a", name="x", seconds=1, result={"sha256": "1"}, **described)
    again = Entry(key="b", name="y", seconds=2, result={"sha256": "1"}, **described)
    other = Entry(key="a", name="x", seconds=1, result={"sha256": "2"}, **described)
    assert train.key(inputs(dataset=first)) == train.key(inputs(dataset=again))
    assert train.key(inputs(dataset=first)) != train.key(inputs(dataset=other))
    assert train.recorded(inputs(dataset=first))["dataset"] == first.fingerprint


def test_folders_are_no_inputs():
    assert list(train.signature.parameters) == ["dataset", "spec", "recipe"]
    assert train.resumable
    assert not evaluate.resumable


def multiply(factor):
    return {"product": 2 * factor}


def test_code_that_changed_since_the_key_was_made_is_not_run(monkeypatch):
    parts = {"models.specs:Value": "1"}
    monkeypatch.setattr(step, "code_parts", lambda module, name: parts)
    assert compute_exactly(multiply, dict(parts), {"factor": 3}) == {"product": 6}
    with pytest.raises(CodeChangedError, match=r"while the study was running \(models.specs:Value"):
        compute_exactly(multiply, {"models.specs:Value": "2"}, {"factor": 3})


def test_leaves_looks_through_lists_and_mappings():
    assert list(leaves({"a": [1, (2, 3)], "b": {"c": 4}})) == [1, 2, 3, 4]
