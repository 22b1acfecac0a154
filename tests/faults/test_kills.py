"""A process that is killed at any moment loses nothing that was finished."""

import random
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from tasks.cache import store
from tests.conftest import study_runs
from tests.faults.conftest import SHORT, SHORT_TRAINING, executed, kill_group

LONG = [*SHORT, "--set", "training.epochs=60"]
STAGES = [
    "data[digits]:publish",
    "train[depth=2, latent_dim=2, seed=0]:epoch=1",
    "transfer[scenario=fine_tune, trained=head_and_encoder, label_budget=64, seed=0, "
    "depth=3, latent_dim=5]:publish",
    "evaluate[depth=2, latent_dim=5, seed=0]:publish",
    "correlate[depth=2, latent_dim=2, seed=0]:publish",
    "interpolate[3->5, latent_dim=5, seed=0]:publish",
    "report[smoke]:publish",
]


def test_killed_inside_every_stage_in_turn(study, expected):
    finished = set()
    for moment in STAGES:
        killed = study.killed_at(moment, "run", "smoke")
        assert not finished & set(executed(killed)), "something was computed twice"
        finished |= set(executed(killed))
        assert study.latest().state == "CRASHED"
    last = study.run("run", "smoke")
    assert not finished & set(executed(last))
    assert "report[smoke]" in executed(last)
    assert study.fingerprints() == expected
    study.assert_logged_once()


def test_killed_between_publishing_and_logging(study, expected):
    study.killed_at(f"{SHORT_TRAINING}:published", *SHORT)
    again = study.run(*SHORT)
    assert SHORT_TRAINING not in executed(again)
    study.assert_same_results(expected)
    study.assert_logged_once()


@pytest.mark.parametrize("number", [1, 2])
def test_killed_at_the_rename_that_publishes(study, expected, number):
    renames = "rename,renameat,renameat2"
    rules = [f"trace={renames}", f"inject={renames}:signal=KILL:when={number}"]
    trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", rules[0], "-e", rules[1]]
    command = [*trace, sys.executable, "-m", "flows.commands.main", *SHORT]
    try:
        subprocess.run(command, env=study.variables, capture_output=True, timeout=200, check=False)
    except FileNotFoundError:
        pytest.skip("strace is not installed")
    assert study.latest().state in {"CRASHED", "FAILED"}
    assert study.latest().count("done") < 5
    for folder in (study.home / "store").glob("*/*"):
        if folder.parent.name not in {"tmp", "locks", "checkpoints"}:
            assert store.inspect(folder.parent.name, folder.name)[0] is not None
    study.run(*SHORT)
    study.assert_same_results(expected)
    study.assert_logged_once()


def newest_epoch(home):
    found = (home / "store" / "checkpoints").glob("*/epoch-*.safetensors")
    return max((int(path.name.split("-")[1]) for path in found), default=0)


def test_stopped_and_killed_at_random_moments_a_training_ends_with_the_same_bits(study, tmp_path):
    home = study.home
    study.move(tmp_path / "undisturbed")
    study.run(*LONG)
    whole = study.fingerprints()
    study.move(home)
    chance = random.Random(0)
    reached = [0]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGKILL, signal.SIGINT):
        process = study.start(*LONG)
        while newest_epoch(home) == reached[-1]:
            assert process.poll() is None, "it ended before it was hurt"
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.3))
        started = time.monotonic()
        if number == signal.SIGKILL:
            kill_group(process)
        else:
            process.send_signal(number)
            if len(reached) == 5:
                process.send_signal(number)  # twice
            _, said = process.communicate(timeout=20)
            assert process.returncode == 128 + number
            assert time.monotonic() - started < 5
            assert "interrupted" in said
            assert study.runs()[0].info.status == "KILLED"
            assert study.latest().state == "CANCELLED"
        assert newest_epoch(home) >= reached[-1], "the training began again at the beginning"
        reached.append(newest_epoch(home))
    last = study.run(*LONG)
    assert SHORT_TRAINING in executed(last)
    assert study.fingerprints() == whole
    study.assert_logged_once()
    assert not list((home / "store" / "checkpoints").iterdir())


@pytest.mark.sweep
def test_killed_sixty_times_at_random_moments_every_study_ends_the_same(study, expected, tmp_path):
    chance = random.Random(1)
    kills = studies = 0
    while kills < 60:
        study.move(tmp_path / f"study {studies}")
        studies += 1
        while True:
            process = study.start("run", "smoke")
            try:
                said, errors = process.communicate(timeout=chance.uniform(0.5, 40))
            except subprocess.TimeoutExpired:
                kill_group(process)
                kills += 1
            else:
                assert process.returncode == 0, said + errors
                break
        assert study.fingerprints() == expected
        study.assert_logged_once()
    print(f"{kills} kills in {studies} studies")


def test_what_a_dead_process_left_open_is_closed_at_the_next_start(study):
    # With the embedded server, as on a laptop; it ends with the process, or this would wait for it.
    del study.variables["PREFECT_API_URL"]
    study.killed_at(f"{SHORT_TRAINING}:epoch=1", *SHORT)
    dead = study.latest()
    assert dead.state == "CRASHED"
    assert study.runs()[0].info.status == "RUNNING"
    said = study.run("status").stdout_text
    assert "CRASHED" in said
    assert f"{SHORT_TRAINING}: was not finished" in said
    assert "study rerun smoke" in said
    study.run("rerun")
    study.assert_logged_once()
    parents = study_runs("smoke")
    assert [run.info.status for run in parents] == ["FINISHED", "KILLED"]
    with sqlite3.connect(study.home / "prefect" / "prefect.db") as database:
        states = dict(database.execute("SELECT id, state_type FROM flow_run").fetchall())
        tasks = database.execute("SELECT DISTINCT state_type FROM task_run").fetchall()
    database.close()
    assert sorted(states.values()) == ["COMPLETED", "CRASHED"]
    assert {state for (state,) in tasks} <= {"COMPLETED", "CRASHED"}
