"""What is damaged on disk is seen, set aside and computed again; nothing stored can run code."""

import hashlib
import json
import os
import pickle
import shutil
import struct
from pathlib import Path

import pytest

from tasks.cache import store
from tasks.cache.canonical import digest
from tasks.system.files import sha256_of
from tests.faults.conftest import SHORT, SHORT_TRAINING, executed

TRAINING = "train[depth=2, latent_dim=2, seed=0]"


def entry_of(study, name):
    record = study.latest().tasks[name]
    return store.inspect(record.task, record.key)[0]


def flip(path, place=0.5):
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 1
    path.write_bytes(content)


def test_a_flipped_bit_in_a_checkpoint_costs_time_and_nothing_else(study, expected):
    study.killed_at(f"{SHORT_TRAINING}:epoch=1", *SHORT)
    (checkpoint,) = (study.home / "store" / "checkpoints").glob("train-*/epoch-*")
    flip(checkpoint)
    again = study.run(*SHORT)
    assert "checkpoint damaged: epoch-00000" in again.stderr_text
    study.assert_same_results(expected)
    study.assert_logged_once()


def older_schema(manifest):
    sealed = json.loads(manifest.read_text())
    del sealed["entry"]["code"]
    manifest.write_text(json.dumps(sealed))


def changed_digit(manifest):
    text = manifest.read_text()
    assert '"final_test_loss": 0.' in text
    manifest.write_text(text.replace('"final_test_loss": 0.', '"final_test_loss": 0.9', 1))


def test_damaged_results_are_computed_again_with_a_warning(finished, expected):
    damage = {
        TRAINING: lambda entry: changed_digit(entry.path(store.MANIFEST)),
        "train[depth=2, latent_dim=5, seed=0]": lambda entry: older_schema(
            entry.path(store.MANIFEST)
        ),
        "pca[digits]": lambda entry: os.truncate(entry.path(store.MANIFEST), 100),
        "interpolate[3->5, latent_dim=5, seed=0]": lambda e: e.path("walks.safetensors").unlink(),
        "train[depth=1, latent_dim=5, seed=0]": lambda entry: flip(
            entry.path("weights.safetensors")
        ),
        "evaluate[depth=2, latent_dim=2, seed=0]": lambda entry: shutil.rmtree(entry.folder),
    }
    for name, hurt in damage.items():
        hurt(entry_of(finished, name))
    planned = {n: t for n, t in finished.plan("smoke").items() if t["action"] == "run"}
    reasons = {name: planned[name]["reasons"][-1] for name in damage}
    assert reasons[TRAINING] == "store entry damaged: manifest.json"
    weights = reasons["train[depth=1, latent_dim=5, seed=0]"]
    assert weights == "store entry damaged: weights.safetensors"
    again = finished.run("run", "smoke")
    assert again.stderr_text.count("store entry damaged") == len(damage) - 1  # one is just gone
    assert set(executed(again)) == set(damage)
    assert finished.fingerprints() == expected
    finished.assert_logged_once()


class Canary:
    """Reading it as a pickle creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_in_the_store_can_run_code(finished, tmp_path):
    canary = tmp_path / "canary"
    poison = pickle.dumps(Canary(canary))
    shutil.rmtree(entry_of(finished, "report[smoke]").folder)
    damaged = entry_of(finished, TRAINING)
    for path in damaged.folder.iterdir():
        path.write_bytes(poison)
    # and one whose manifest is forged to fit
    forged = entry_of(finished, "train[depth=2, latent_dim=5, seed=0]")
    forged.path("weights.safetensors").write_bytes(poison)
    files = {name: sha256_of(forged.path(name)) for name in forged.files}
    sizes = {name: forged.path(name).stat().st_size for name in forged.files}
    fitting = forged.model_copy(update={"files": files, "sizes": sizes})
    plain = fitting.model_dump(mode="json")
    sealed = {"entry": plain, "sha256": digest(plain)}
    forged.path(store.MANIFEST).write_text(json.dumps(sealed))
    # and a checkpoint
    key = damaged.key
    folder = finished.home / "store" / "checkpoints" / f"train-{key}"
    folder.mkdir(parents=True)
    (folder / "loose").write_bytes(poison)
    name = f"epoch-000001-{hashlib.sha256(poison).hexdigest()}.safetensors"
    (folder / name).write_bytes(poison)
    refused = finished.run("run", "smoke", code=1)
    assert "failed" in refused.stderr_text
    assert not canary.exists()
    pickle.loads(poison)
    assert canary.exists(), "the canary is no canary"


def test_bad_dataset_files_are_named_and_good_ones_go_on(study, tmp_path):
    """Fetching them again is tested with a server: ``tests/tasks/datasets/test_downloads.py``."""
    real = Path(os.environ.get("STUDY_DATA", "data")) / "MNIST" / "raw"
    if not real.is_dir():
        pytest.skip(f"needs the MNIST files in {real}")
    raw = tmp_path / "data" / "MNIST" / "raw"
    shutil.copytree(real, raw)
    images, labels = raw / "train-images-idx3-ubyte", raw / "train-labels-idx1-ubyte"
    test_images, test_labels = raw / "t10k-images-idx3-ubyte", raw / "t10k-labels-idx1-ubyte"
    images.write_bytes(struct.pack(">IIII", 0x803, 2**31, 28, 28) + images.read_bytes()[16:])
    labels.write_bytes(b"")
    os.truncate(test_images, 5000)
    flip(test_labels)
    nowhere = dict.fromkeys(("STUDY_MIRROR", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    nowhere |= {"STUDY_DATA": str(tmp_path / "data"), "no_proxy": "127.0.0.1"}
    refused = study.run(*SHORT, "--set", "dataset.name=mnist", code=1, **nowhere)
    for path in (images, labels, test_images, test_labels):
        assert f"warning: {path}" in refused.stderr_text
    assert f"into {raw}" in refused.stderr_text
    shutil.copytree(real, raw, dirs_exist_ok=True)
    with test_labels.open("ab") as file:
        file.write(b"\0")
    refused = study.run("rerun", code=1, **nowhere)
    assert f"warning: {test_labels} has 10,009 bytes instead of 10,008" in refused.stderr_text
    shutil.copy(real / test_labels.name, test_labels)
    assert SHORT_TRAINING in executed(study.run("rerun", **nowhere))
