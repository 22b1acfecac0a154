"""Several processes on one folder, folders that move, files that vanish."""

import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from tasks.cache import store
from tests.faults.conftest import ALONE, executed

TINY = ["--section", "depth_sweep", "--set", "depths=[1]", "--set", "training.epochs=1", *ALONE]
TINY += ["--set", "dataset.train_limit=64", "--set", "dataset.test_limit=32"]
TRAINING = "train[depth=1, latent_dim=5, seed=0]"
ROUNDS = 5


@pytest.mark.parametrize("rounds", [ROUNDS, pytest.param(20, marks=pytest.mark.sweep)])
def test_studies_started_together_train_each_model_once(study, tmp_path, rounds):
    """Four at once in each round: two different studies, and a third one twice."""
    names = ("one", "two", "same", "same")
    for name in set(names):
        (tmp_path / f"{name}.yaml").write_text("dataset: {name: digits}\ndepth_latent_dim: 5\n")
    for seed in range(rounds):
        chosen = [*TINY, "--set", f"seeds=[{seed}]"]
        together = [study.start("run", str(tmp_path / f"{name}.yaml"), *chosen) for name in names]
        trained = []
        for process in together:
            said, errors = process.communicate(timeout=120)
            assert process.returncode == 0, said + errors
            process.stdout_text = said
            trained += [name for name in executed(process) if name.startswith("train")]
        assert trained == [f"train[depth=1, latent_dim=5, seed={seed}]"]
    study.assert_logged_once()
    assert sum(run.data.tags["study.kind"] == "model" for run in study.runs()) == rounds


def test_the_lock_of_a_killed_holder_is_free_at_once(study):
    hold = "import time; from tasks.cache.store import locked\n"
    hold += "with locked('train', 'abc'): print('held', flush=True); time.sleep(60)"
    holder = subprocess.Popen(
        [sys.executable, "-c", hold], env=study.variables, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    started = time.monotonic()
    with store.locked("train", "abc"):
        assert time.monotonic() - started < 1


def test_a_moved_home_is_still_valid(finished, expected, tmp_path):
    moved = tmp_path / "an other place"
    finished.home.rename(moved)
    finished.move(moved)
    assert all(task["action"] == "cached" for task in finished.plan("smoke").values())
    assert executed(finished.run("run", "smoke")) == []
    assert finished.fingerprints() == expected


def test_an_entry_deleted_in_the_middle_is_computed_again(study, expected):
    deleted = []

    def delete_the_first_model(process):
        while process.poll() is None and not deleted:
            for folder in (study.home / "store" / "train").glob("*"):
                shutil.rmtree(folder)
                deleted.append(folder)
                break
            time.sleep(0.01)

    process = study.start("run", "smoke")
    watcher = threading.Thread(target=delete_the_first_model, args=[process])
    watcher.start()
    said, errors = process.communicate(timeout=200)
    watcher.join()
    assert process.returncode == 0, said + errors
    assert deleted
    assert study.fingerprints() == expected
    study.assert_logged_once()
