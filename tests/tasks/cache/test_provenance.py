import json
import platform
import subprocess
from importlib.metadata import version

from tasks.cache.code_digest import code_parts
from tasks.cache.module_code import ROOT
from tasks.cache.provenance import LIBRARIES, provenance


def test_versions_and_machine_are_recorded_as_json():
    found = json.loads(json.dumps(provenance()))
    assert found["python"] == platform.python_version()
    assert found["versions"] == {name: version(name) for name in LIBRARIES}
    assert found.keys() == {"python", "system", "processor", "commit", "versions"}


def test_the_commit_is_that_of_the_checkout():
    asked = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    commit = provenance.__wrapped__()["commit"]
    if asked.returncode:
        assert commit is None
    else:
        assert commit.removesuffix("-dirty").rpartition("g")[2] in asked.stdout


def test_without_git_there_is_no_commit(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.__wrapped__()["commit"] is None


def test_provenance_is_in_no_key():
    parts = code_parts("tasks.steps.train", "train_models")
    assert parts
    assert not [name for name in parts if name.startswith("tasks.cache.provenance")]
