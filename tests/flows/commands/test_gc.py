import sys
import time
from pathlib import Path
from threading import Event, Thread

import pytest

from flows.commands.gc import gc, print_table, unused
from models.specs import ConfigError
from tasks.cache import checkpoints, store
from tasks.cache.entry import Entry, files_in
from tasks.execution.invocations import InvocationLog

gc_module = sys.modules["flows.commands.gc"]  # the package's attribute is the command


def publish(key):
    with store.workspace("train", key) as folder:
        (folder / "weights.safetensors").write_bytes(b"x" * 1_000_000)
        nothing = {"inputs": {}, "code": {}, "result": {}, "provenance": {}}
        files = files_in(folder)
        store.publish(
            folder,
            Entry(task="train", key=key, name=f"train[{key}]", files=files, seconds=1, **nothing),
        )
    with store.locked("train", key):
        pass


def invoke(study, *keys):
    log = InvocationLog(study, {}, [])
    for key in keys:
        log.task(f"train[{key}]", task="train", key=key, outcome="done")
    return log


@pytest.fixture
def filled(home):
    """Three invocations of one study and one of another; an entry that nobody reached."""
    for key in ("a", "b", "c", "d", "other"):
        publish(key)
    for keys in (("a", "b"), ("b", "c"), ("c",)):
        invoke("smoke", *keys).end("COMPLETED", "")
    invoke("mnist", "other").end("FAILED", "")
    return home / "store"


def names(paths):
    return {path.name for path in paths}


@pytest.mark.parametrize(
    ("keep", "expected"), [(1, {"a", "b", "d"}), (2, {"a", "d"}), (3, {"d"}), (9, {"d"})]
)
def test_what_the_last_invocations_of_each_study_reach_is_kept(filled, keep, expected):
    assert names(unused(keep)) == expected


def test_a_study_that_starts_waits_until_everything_is_deleted(filled, monkeypatch):
    begun = Event()
    study = Thread(target=lambda: (invoke("smoke", "a"), begun.set()))
    delete = gc_module.delete

    def delete_while_a_study_starts(found, keys):
        study.start()
        assert not begun.wait(0.5)
        delete(found, keys)

    monkeypatch.setattr(gc_module, "delete", delete_while_a_study_starts)
    gc(1, yes=True)
    study.join(10)
    assert begun.is_set()
    assert names((filled / "train").iterdir()) == {"c", "other"}


def test_nothing_is_deleted_unless_told_to(filled, capsys):
    gc(1, yes=False)
    said = capsys.readouterr().out
    assert "3" in said
    assert "3.0 MB not used by the last 1 invocations of each study; delete it with --yes" in said
    assert names((filled / "train").iterdir()) == {"a", "b", "c", "d", "other"}
    gc(1, yes=True)
    assert names((filled / "train").iterdir()) == {"c", "other"}
    assert names((filled / "locks").iterdir()) == {"train-c.lock", "train-other.lock"}
    assert "3.0 MB deleted" in capsys.readouterr().out


def test_leftovers_go_and_checkpoints_of_kept_keys_stay(filled):
    for key in ("a", "c"):
        checkpoints.folder_of("train", key).mkdir(parents=True)
    for leftover in ("quarantine/1-c", "tmp/train-c-x"):
        (filled / leftover).mkdir(parents=True)
    gone = names(unused(1))
    assert gone == {"a", "b", "d", "train-a", "1-c", "train-c-x"}


def test_what_a_link_leads_to_stays(filled, tmp_path):
    (tmp_path / "elsewhere" / "d").mkdir(parents=True)
    (filled / "extra").symlink_to(tmp_path / "elsewhere")
    (filled / "train" / "e").symlink_to(tmp_path / "elsewhere")
    gc(1, yes=True)
    assert (tmp_path / "elsewhere" / "d").exists()
    assert names(filled.iterdir()) >= {"extra", "train"}
    assert names((filled / "train").iterdir()) == {"c", "other"}


def test_nothing_is_collected_while_a_study_runs(filled):
    log = invoke("smoke", "d")
    with pytest.raises(ConfigError, match="smoke is running"):
        gc(1, yes=True)
    log.end("COMPLETED", "")
    assert "d" not in names(unused(1))


@pytest.mark.parametrize("content", ['{"format": 99}', "", '{"id": '])
def test_nothing_is_collected_while_a_record_cannot_be_read(filled, home, content):
    record = min((home / "invocations").glob("*.jsonl"))
    record.write_text(content)
    for yes in (False, True):
        with pytest.raises(ConfigError) as caught:
            gc(1, yes=yes)
        assert str(caught.value).startswith(f"{record} ")
        assert "\n" not in str(caught.value)
    assert names((filled / "train").iterdir()) == {"a", "b", "c", "d", "other"}
    record.unlink()
    assert names(unused(1)) == {"a", "b", "d"}


def test_the_newer_run_is_kept_when_the_clock_was_set_back(filled, monkeypatch):
    monkeypatch.setattr(time, "time_ns", lambda: 10**18)  # in 2001
    monkeypatch.setattr(time, "time", lambda: 1e9)
    invoke("smoke", "d").end("COMPLETED", "")
    assert names(unused(1)) == {"a", "b", "c"}


def test_names_of_folders_are_shown_as_they_are(capsys):
    print_table({Path("store") / "[b]\x1b[2J" / "train-a": 1_000_000})
    assert capsys.readouterr().out.splitlines()[1].split() == ["[b]?[2J", "1", "1.0", "MB"]
