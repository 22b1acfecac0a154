"""A shared store into which an enemy wrote: nothing runs, nothing hangs, the results are right."""

import json
import os
import pickle
import shutil
import time

import pytest

from tasks.cache.canonical import digest
from tasks.cache.entry import MANIFEST, files_in, sizes_in
from tests.faults.conftest import SHORT, SHORT_TRAINING, executed
from tests.faults.test_damage import Canary

SCRIPT = "<script>document.title = 'canary'</script>"
TRAININGS = [
    *(f"train[depth=2, latent_dim={size}, seed=0]" for size in (2, 5)),
    *(f"train[depth={depth}, latent_dim=5, seed=0]" for depth in (1, 3)),
]


def seal(folder):
    """Make a manifest fit the files of its entry."""
    path = folder / MANIFEST
    manifest = json.loads(path.read_text())
    path.unlink()
    manifest["entry"] |= {"files": files_in(folder), "sizes": sizes_in(folder)}
    path.write_text(json.dumps(manifest | {"sha256": digest(manifest["entry"])}))


@pytest.fixture
def team(tmp_path, undisturbed, study):
    """A shared store with everything that another machine computed, its models and page too."""
    folder = tmp_path / "team"
    for task in (path for path in (undisturbed / "store").iterdir() if path.name != "quarantine"):
        if task.name not in {"tmp", "locks", "checkpoints"}:
            shutil.copytree(task, folder / task.name)
    study.variables["STUDY_STORE"] = str(folder)
    return folder


def entry_folder(team, study, name):
    """The folder of an entry in the shared store, found by the name in its manifest."""
    (found,) = [
        path.parent
        for path in team.glob(f"*/*/{MANIFEST}")
        if json.loads(path.read_text())["entry"]["name"] == name
    ]
    return found


def test_a_store_that_an_enemy_wrote_runs_nothing_and_changes_nothing(
    study, team, expected, tmp_path
):
    canary = tmp_path / "canary"
    poison = pickle.dumps(Canary(canary))
    loader = f"import pathlib; pathlib.Path({str(canary)!r}).touch()\n_load_pyfunc = print\n"
    for model in team.glob("package/*/*/MLmodel"):
        text = model.read_text().replace("mlflow.pytorch", "canary_loader")
        model.write_text(text.replace("data: data", "code: code\n    data: data"))
        (model.parent / "code").mkdir()
        (model.parent / "code" / "canary_loader.py").write_text(loader)
        (model.parent / "model.pth").write_bytes(poison)
    for page in team.glob("report/*/index.html"):
        page.write_text(page.read_text().replace("<head>", f"<head>{SCRIPT}"))
    for task in ("package", "report"):
        for folder in team.glob(f"{task}/*"):
            seal(folder)
    pickled, huge, piped, linked = (entry_folder(team, study, name) for name in TRAININGS)
    (pickled / "weights.safetensors").write_bytes(poison)
    seal(pickled)
    os.truncate(huge / "weights.safetensors", 10 << 30)
    (piped / MANIFEST).unlink()
    os.mkfifo(piped / MANIFEST)
    shutil.move(linked / "weights.safetensors", tmp_path / "elsewhere")
    (linked / "weights.safetensors").symlink_to(tmp_path / "elsewhere")
    started = time.monotonic()
    planned = {name: task["action"] for name, task in study.plan("smoke").items()}
    assert time.monotonic() - started < 30
    assert planned["data[digits]"] == "cached"
    assert {planned["report[smoke]"], planned[TRAININGS[2]]} == {"run"}

    again = study.run("run", "smoke")
    computed = set(executed(again))
    assert set(TRAININGS) <= computed
    assert "data[digits]" not in computed
    assert sum(name.startswith("package[") for name in computed) == len(
        list(team.glob("package/*"))
    )
    assert "weights.safetensors is no safetensors file of train/" in again.stderr_text
    assert "is not a regular file" in again.stderr_text
    assert not canary.exists()
    page = study.home / "reports" / "smoke" / "index.html"
    assert SCRIPT not in page.read_text()
    assert not [path for path in study.home.rglob("*") if path.name in {"model.pth", "code"}]
    assert study.fingerprints() == expected
    # what is computed again replaces what the enemy wrote, and not the file behind the link
    assert (huge / "weights.safetensors").stat().st_size < 1e6
    assert not (linked / "weights.safetensors").is_symlink()
    study.move(tmp_path / "third")
    assert SHORT_TRAINING not in executed(study.run(*SHORT))


def test_with_a_key_others_entries_are_computed_again(study, team, expected, tmp_path):
    key = {"STUDY_STORE_KEY": "0123456789abcdef" * 2}
    said = study.run(*SHORT, **key)
    assert "not signed with this STUDY_STORE_KEY of train/" in said.stderr_text
    assert {"data[digits]", SHORT_TRAINING} <= set(executed(said))
    study.assert_same_results(expected)
    study.move(tmp_path / "third")
    again = study.run(*SHORT, **key)
    assert "not signed" not in again.stderr_text
    assert all(name.startswith(("package[", "report[")) for name in executed(again))
    refused = study.run(*SHORT, code=2, STUDY_STORE_KEY="short")
    assert "STUDY_STORE_KEY has 5 characters and needs 16 or more" in refused.stderr_text
