"""Two machines, each with its own store, and a shared store."""

import json
import re

import pytest

from tasks.cache import store
from tasks.cache.canonical import digest
from tasks.cache.entry import MANIFEST, Entry, entry_folder
from tests.tasks.cache.test_store import publish

KEY = "abc"


@pytest.fixture
def shared(tmp_path, monkeypatch):
    monkeypatch.setenv("STUDY_STORE", str(tmp_path / "shared"))
    return tmp_path / "shared" / "train" / KEY


@pytest.fixture
def move(tmp_path, monkeypatch):
    """Continue on another machine, which has another STUDY_HOME."""

    def to(name):
        monkeypatch.setenv("STUDY_HOME", str(tmp_path / name))

    to("here")
    return to


def test_an_entry_of_one_machine_is_loaded_on_another(shared, move):
    entry = publish()
    move("there")
    assert store.inspect("train", KEY) == (None, "")
    assert store.find_shared("train", KEY) == entry
    assert store.load("train", KEY) == entry
    assert store.inspect("train", KEY) == (entry, "")


@pytest.mark.parametrize("name", ["weights.safetensors", MANIFEST])
def test_a_damaged_entry_of_the_shared_store_is_not_loaded(shared, move, name, recwarn):
    publish()
    content = bytearray((shared / name).read_bytes())
    content[len(content) // 2] ^= 1
    (shared / name).write_bytes(content)
    move("there")
    assert store.load("train", KEY) is None
    assert not entry_folder("train", KEY).exists()


@pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped", "a/../../escaped"])
def test_a_manifest_names_no_file_outside_its_entry(shared, move, name):
    entry = publish()
    (shared.parent / "escaped").write_bytes(b"code")
    forged = entry.model_dump(mode="json") | {"files": {name: "0" * 64}}
    sealed = {"entry": forged, "sha256": digest(forged)}
    (shared / MANIFEST).write_text(json.dumps(sealed))
    with pytest.raises(ValueError, match="outside"):
        Entry.model_validate(forged)
    move("there")
    assert store.load("train", KEY) is None


def test_an_entry_of_another_key_is_not_loaded(shared, move):
    publish()
    other = "f" * 64
    shared.rename(shared.parent / other)
    move("there")
    assert store.load("train", other) is None


def test_a_shared_store_that_cannot_be_written_costs_a_warning(shared, move, tmp_path):
    (tmp_path / "shared").write_text("a file")
    with pytest.warns(UserWarning, match=re.escape("is not in STUDY_STORE")):
        entry = publish()
    publish()  # without another warning: the shared store is not used for a while
    assert store.inspect("train", KEY) == (entry, "")


def test_an_entry_in_neither_store_is_an_error(shared, move):
    entry = publish()
    for path in sorted(shared.rglob("*"), reverse=True):
        path.unlink()
    move("there")
    with pytest.raises(FileNotFoundError, match=r"^train\[x\] is not in .*; set STUDY_HOME .* or"):
        store.ensure_local(entry)
