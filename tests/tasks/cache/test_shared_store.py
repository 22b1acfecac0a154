"""Two machines, each with a store of its own, and one that they share."""

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
    """Go to another machine."""

    def to(name):
        monkeypatch.setenv("STUDY_HOME", str(tmp_path / name))

    to("here")
    return to


def test_what_one_machine_computed_another_has(shared, move):
    entry = publish()
    move("there")
    assert store.inspect("train", KEY) == (None, "")
    assert store.find_shared("train", KEY) == entry
    assert store.load("train", KEY) == entry
    assert store.inspect("train", KEY) == (entry, "")


@pytest.mark.parametrize("name", ["weights.safetensors", MANIFEST])
def test_what_is_damaged_in_the_shared_store_is_not_taken(shared, move, name, recwarn):
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


def test_an_entry_of_another_key_is_not_taken(shared, move):
    publish()
    other = "f" * 64
    shared.rename(shared.parent / other)
    move("there")
    assert store.load("train", other) is None


def test_a_shared_store_that_takes_nothing_costs_a_warning(shared, move, tmp_path):
    (tmp_path / "shared").write_text("a file")
    with pytest.warns(UserWarning, match=re.escape("is not in STUDY_STORE")):
        entry = publish()
    publish()  # without another: it is not tried again for a while
    assert store.inspect("train", KEY) == (entry, "")


def test_what_nobody_has_is_missed_by_name(shared, move):
    entry = publish()
    for path in sorted(shared.rglob("*"), reverse=True):
        path.unlink()
    move("there")
    with pytest.raises(FileNotFoundError, match="STUDY_STORE"):
        store.ensure_local(entry)
