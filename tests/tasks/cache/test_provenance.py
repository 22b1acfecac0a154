import json
import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import version

from tasks.cache.provenance import (
    LIBRARIES,
    _version,
    mixed_releases,
    provenance,
    releases_in_keys,
)
from tasks.code.code_digest import code_parts
from tasks.code.modules import ROOT


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


def commit_of(code):
    """The commit that the project finds when its code is in this folder."""
    statement = "from tasks.cache.provenance import provenance; print(provenance()['commit'])"
    done = subprocess.run(
        [sys.executable, "-c", statement],
        env=os.environ | {"PYTHONPATH": str(code)},
        cwd=code.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_commit_of_another_repository_around_installed_code_is_not_its_own(tmp_path):
    def git(*arguments):
        program = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run([*program, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "of something else")
    code = tmp_path / "environment" / "site-packages"
    for package in ("models", "tasks"):
        shutil.copytree(ROOT / package, code / package)
    assert commit_of(code) == "None"
    git("add", ".")
    git("commit", "-q", "-m", "with the code")
    assert git("rev-parse", "HEAD").startswith(commit_of(code).removesuffix("-dirty"))


def test_a_library_that_is_not_installed_has_no_version():
    assert _version("no-such-library") == "unknown"
    assert _version("numpy") == version("numpy")


def test_provenance_is_in_no_key():
    parts = code_parts("tasks.steps.train", "train_models")
    assert parts
    assert not [name for name in parts if name.startswith("tasks.cache.provenance")]


def with_torch(*versions):
    return [{"versions": {"torch": one}} for one in versions]


def test_results_of_several_releases_are_named_with_their_numbers():
    groups = {
        "train": with_torch("2.14.0", "2.15.0+cpu", "2.15.1"),
        "evaluate": with_torch("2.15.0", "2.15.1+cu130"),
        "transfer": with_torch("2.9.1", "2.10.0"),
        "data": [{}],
    }
    train, transfer = mixed_releases(groups)
    assert train.startswith("train: 1 with torch 2.14, 2 with torch 2.15; results of different")
    assert "versions_in_key=true" in train
    assert transfer.startswith("transfer: 1 with torch 2.10, 1 with torch 2.9;")


def test_the_release_in_a_key_is_that_of_torch_without_its_patch():
    (torch,) = releases_in_keys().values()
    assert version("torch").startswith(f"{torch}.")
    assert torch.count(".") == 1
