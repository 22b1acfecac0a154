"""Two machines, each with its own store, and a shared store that anyone can write to."""

import json
import os
import re
import shutil
import threading
import time
from contextlib import suppress

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image
from safetensors.numpy import save_file

from models.specs import ConfigError, ModelSpec, ObjectiveSpec, TrainingRecipe
from tasks.cache import shared_store, store
from tasks.cache.canonical import digest
from tasks.cache.entry import FORMAT, MANIFEST, Entry, entry_folder, files_in, sizes_in
from tasks.cache.provenance import provenance
from tasks.cache.signatures import SHORTEST_KEY
from tasks.code.code_digest import digest_of_parts
from tests.special_files import replace_file

INPUTS, CODE = {"spec": {"depth": 2}}, {"models.autoencoder:Decoder": "d"}
KEY = digest(["train", INPUTS, digest_of_parts(CODE)])
WEIGHTS = "weights.safetensors"
EPOCH = {"epoch": 1, "epochs": 1, "train_loss": 0.5, "test_loss": 0.5, "learning_rate": 0.01}
RESULT = {
    "spec": ModelSpec.written().model_dump(),
    "recipe": TrainingRecipe().model_dump(),
    "objective": ObjectiveSpec().model_dump(),
    "image_shape": [1, 28, 28],
    "history": [EPOCH],
    "parameters": {"n_parameters": 12, "flops_per_image": 34},
    "metrics": {"initial_test_loss": 0.6, "final_train_loss": 0.5, "final_test_loss": 0.5}
    | {"final_validation_loss": None, "best_epoch": 1},
}


def publish(write=None, task="train"):
    """Publish an entry with weights, a spec, a picture, and what ``write(folder)`` writes."""
    with store.workspace(task, KEY) as folder:
        save_file({"weight": np.ones((3, 4), np.float32)}, folder / WEIGHTS)
        (folder / "spec.json").write_text('{"depth": 2}')
        Image.new("L", (4, 4)).save(folder / "picture.png")
        if write is not None:
            write(folder)
        entry = Entry(
            task=task,
            key=KEY,
            name="train[x]",
            inputs=INPUTS,
            code=CODE,
            result=RESULT,
            files=files_in(folder),
            sizes=sizes_in(folder),
            seconds=1.0,
            provenance=dict(provenance()),
        )
        store.publish(folder, entry)
    return entry


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


def seal(folder):
    """Make the manifest of a shared entry fit its files, as whoever can write there may do."""
    manifest = json.loads((folder / MANIFEST).read_text())
    content = manifest["entry"]
    (folder / MANIFEST).unlink()
    content |= {"files": files_in(folder), "sizes": sizes_in(folder)}
    (folder / MANIFEST).write_text(json.dumps(manifest | {"sha256": digest(content)}))


def refused(problem):
    """Assert that the entry is not taken, at once and with this warning."""
    started = time.monotonic()
    with pytest.warns(UserWarning, match=re.escape(problem)):
        assert store.load("train", KEY) is None
    assert time.monotonic() - started < 5
    assert not entry_folder("train", KEY).exists()


def test_an_entry_of_one_machine_is_loaded_on_another(shared, move):
    entry = publish()
    move("there")
    assert store.inspect("train", KEY) == (None, "")
    assert store.find_shared("train", KEY) == entry
    assert store.load("train", KEY) == entry
    assert store.inspect("train", KEY) == (entry, "")


@pytest.mark.parametrize("name", [WEIGHTS, MANIFEST])
def test_a_damaged_entry_of_the_shared_store_is_not_loaded(shared, move, name):
    publish()
    content = bytearray((shared / name).read_bytes())
    content[len(content) // 2] ^= 1
    (shared / name).write_bytes(content)
    move("there")
    refused("is computed again")


@pytest.mark.parametrize(
    "name", ["../../escaped", "/tmp/escaped", "a/../../escaped", MANIFEST, "a\0b", "", ".", "a//b"]
)
def test_a_manifest_names_only_files_in_its_entry(shared, move, name):
    entry = publish()
    (shared.parent / "escaped").write_bytes(b"code")
    forged = entry.model_dump(mode="json") | {"files": {name: "0" * 64}}
    sealed = {"format": FORMAT, "entry": forged, "sha256": digest(forged)}
    (shared / MANIFEST).write_text(json.dumps(sealed))
    with pytest.raises(ValueError, match="no name of a file"):
        Entry.model_validate(forged)
    move("there")
    refused(f"store entry damaged: {MANIFEST} of train/{KEY[:12]}")


@pytest.mark.parametrize("field", ["task", "key"])
@pytest.mark.parametrize("value", ["..", "a/b", "", "/tmp", "a\n"])
def test_an_entry_names_no_folder_outside_its_store(field, value):
    entry = publish()
    with pytest.raises(ValueError, match="should match pattern"):
        Entry.model_validate(entry.model_dump() | {field: value})


@pytest.mark.parametrize(
    "lie",
    [
        {"inputs": {"spec": {"depth": 3}}},
        {"inputs": {"recipe": {"epochs": 0}}},
        {"code": {}},
        {"provenance": {}},
        {"provenance": dict(provenance()) | {"versions": 5}},
        {"provenance": dict(provenance()) | {"versions": {"torch": 5}}},
        {"provenance": dict(provenance()) | {"commit": ["a"]}},
        {"result": {}},
        {"result": RESULT | {"metrics": {}}},
        {"result": RESULT | {"metrics": RESULT["metrics"] | {"final_train_loss": "<b>"}}},
        {"result": RESULT | {"history": []}},
        {"result": RESULT | {"history": [EPOCH | {"test_loss": None}]}},
        {"result": RESULT | {"spec": {"depth": 2}}},
        {"result": RESULT | {"spec": ModelSpec.written().model_dump() | {"depth": 9}}},
        {"result": RESULT | {"recipe": ModelSpec.written().model_dump()}},
        {"result": RESULT | {"verdicts": []}},
        {"result": RESULT | {"parameters": {"n_parameters": 10**400, "flops_per_image": 34}}},
        {"result": RESULT | {"history": [EPOCH | {"epoch": 10**400}]}},
        {"result": RESULT | {"history": [EPOCH] * 10_001}},
        {"result": RESULT | {"metrics": RESULT["metrics"] | {"final_train_loss": 1e999}}},
        {"seconds": 1e300},
        {"seconds": -1},
    ],
)
def test_a_manifest_that_lies_about_its_origin_or_result_is_refused(shared, move, lie):
    publish()
    manifest = json.loads((shared / MANIFEST).read_text())
    content = manifest["entry"] | lie
    (shared / MANIFEST).write_text(
        json.dumps(manifest | {"entry": content, "sha256": digest(content)})
    )
    move("there")
    refused(f"store entry damaged: {MANIFEST}")


def test_a_manifest_is_not_read_beyond_its_limit(shared, move):
    publish()
    with (shared / MANIFEST).open("a") as file:
        file.write(" " * (5 << 20))
    move("there")
    refused("larger than")


def test_a_picture_hides_nothing_large_behind_its_end(shared, move):
    publish()
    os.truncate(shared / "picture.png", 100 << 20)
    seal(shared)
    move("there")
    refused("is larger than 16,777,216 bytes")


def test_a_picture_has_a_limited_number_of_pixels(shared, move):
    publish()
    Image.new("1", (10_000, 6_000)).save(shared / "picture.png")
    seal(shared)
    move("there")
    refused("picture.png is no png file")


def test_an_entry_of_another_key_is_not_loaded(shared, move):
    publish()
    other = "f" * 64
    shared.rename(shared.parent / other)
    move("there")
    with pytest.warns(UserWarning, match=f"damaged: {MANIFEST} of train/ffff"):
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


SCRIPT = "<script>alert(1)</script>"


@pytest.mark.parametrize("name", ["index.html", "curve.svg", "MLmodel", "model.pt2", "code.py"])
def test_what_could_run_code_is_neither_copied_to_the_shared_store_nor_from_it(shared, move, name):
    publish(lambda folder: (folder / name).write_text(SCRIPT))
    assert not shared.exists()
    move("elsewhere")
    publish()
    (shared / name).write_text(SCRIPT)
    seal(shared)
    move("there")
    assert store.find_shared("train", KEY) is None
    assert store.load("train", KEY) is None
    assert not entry_folder("train", KEY).exists()


def test_a_step_that_is_not_shared_takes_nothing_from_the_shared_store(shared, move):
    publish()
    move("there")
    assert store.load("train", KEY, shared=False) is None


@pytest.mark.parametrize("name", [WEIGHTS, "spec.json", "picture.png"])
@pytest.mark.parametrize("content", [SCRIPT.encode(), b"", b"[" * 100_000, b"\x80\x05N."])
def test_a_file_has_the_format_that_its_name_says(shared, move, name, content):
    publish()
    (shared / name).write_bytes(content)
    seal(shared)
    move("there")
    refused(f"{name} is no {name.partition('.')[2]} file of train/{KEY[:12]}")


@pytest.mark.parametrize("name", [WEIGHTS, MANIFEST])
@pytest.mark.parametrize("kind", ["pipe", "link", "device", "folder", "huge"])
def test_only_regular_files_of_the_expected_size_are_read(shared, move, tmp_path, name, kind):
    publish()
    replace_file(shared / name, kind, tmp_path / "linked")
    move("there")
    refused("larger than" if kind == "huge" else "is not a regular file")
    assert sum(f.stat().st_size for f in tmp_path.glob("there/**/*") if f.is_file()) < 1e6
    # one bad entry must not stop the use of the others
    assert shared_store.read("train", KEY, "spec.json", 100) == b'{"depth": 2}'


def test_a_declared_size_has_a_limit(shared, move, monkeypatch):
    publish()
    monkeypatch.setattr(store, "LARGEST_FILE", 100)
    move("there")
    refused("larger than 100 bytes")
    publish()  # and what is larger is not copied there


@pytest.mark.parametrize("place", ["file", "folder"])
def test_a_link_in_the_shared_store_is_not_written_through(shared, move, tmp_path, place):
    private = tmp_path / "private"
    private.mkdir()
    (private / WEIGHTS).write_text("mine")
    if place == "file":
        shared.mkdir(parents=True)
        (shared / WEIGHTS).symlink_to(private / WEIGHTS)
        publish()
    else:
        shared.parent.mkdir(parents=True)
        shared.symlink_to(private)
        with pytest.warns(UserWarning, match="leads through a link"):
            publish()
    assert (private / WEIGHTS).read_text() == "mine"
    assert [path.name for path in private.iterdir()] == [WEIGHTS]


def test_a_folder_that_becomes_a_link_at_any_moment_leads_nowhere(shared, move, tmp_path):
    """Another process changes the folder of the step between a folder and a link, all the time."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / KEY).mkdir(parents=True)
    (elsewhere / KEY / WEIGHTS).write_text("mine")
    step, real = shared.parent, tmp_path / "real"
    step.mkdir(parents=True)
    ended = threading.Event()

    def flip():
        while not ended.is_set():
            with suppress(OSError):  # what is written meanwhile may take a name
                step.rename(real)
                step.symlink_to(elsewhere)
                step.unlink()
            shutil.rmtree(real, ignore_errors=True)

    thread = threading.Thread(target=flip)
    thread.start()
    source = tmp_path / "source"
    source.write_text("weights")
    place = shared_store.EntryInFolder(tmp_path / "shared", "train", KEY)
    try:
        for _ in range(2000):
            with suppress(OSError):
                place.put(WEIGHTS, source)
            with suppress(OSError):
                assert place.read(WEIGHTS, 100) == b"weights"
    finally:
        ended.set()
        thread.join()
    assert (elsewhere / KEY / WEIGHTS).read_text() == "mine"


def test_an_entry_of_a_newer_format_is_not_taken(shared, move):
    publish()
    manifest = json.loads((shared / MANIFEST).read_text()) | {"format": FORMAT + 1}
    (shared / MANIFEST).write_text(json.dumps(manifest))
    move("there")
    refused(f"store entry of format {FORMAT + 1}, and this version reads formats up to {FORMAT}")


KEY_OF_TEAM, KEY_OF_OTHERS = "k" * SHORTEST_KEY, "o" * SHORTEST_KEY


@pytest.mark.parametrize(
    ("writer", "reader", "taken"),
    [
        ("", "", True),
        (KEY_OF_TEAM, "", True),
        (KEY_OF_TEAM, KEY_OF_TEAM, True),
        ("", KEY_OF_TEAM, False),
        (KEY_OF_OTHERS, KEY_OF_TEAM, False),
    ],
)
def test_with_a_key_only_entries_signed_with_it_are_taken(
    shared, move, monkeypatch, writer, reader, taken
):
    monkeypatch.setenv("STUDY_STORE_KEY", writer)
    entry = publish()
    assert KEY_OF_TEAM not in (shared / MANIFEST).read_text()
    monkeypatch.setenv("STUDY_STORE_KEY", reader)
    move("there")
    if taken:
        assert store.load("train", KEY) == entry
    else:
        refused("store entry not signed with this STUDY_STORE_KEY")
        assert store.load("train", KEY, shared=False) is None


def test_a_signature_belongs_to_one_content(shared, move, monkeypatch):
    monkeypatch.setenv("STUDY_STORE_KEY", KEY_OF_TEAM)
    publish()
    save_file({"weight": np.zeros((3, 4), np.float32)}, shared / WEIGHTS)
    seal(shared)  # keeps the signature
    move("there")
    refused("not signed with this STUDY_STORE_KEY")


@pytest.mark.parametrize("signature", [None, "", "é", 7, ["a"], "\ud800"])
def test_a_signature_of_any_kind_is_refused_in_one_line(shared, move, monkeypatch, signature):
    monkeypatch.setenv("STUDY_STORE_KEY", KEY_OF_TEAM)
    publish()
    manifest = json.loads((shared / MANIFEST).read_text())
    (shared / MANIFEST).write_text(json.dumps(manifest | {"signature": signature}))
    move("there")
    refused("not signed with this STUDY_STORE_KEY")


def test_own_entries_are_kept_when_a_key_is_set(move, monkeypatch):
    entry = publish()
    monkeypatch.setenv("STUDY_STORE_KEY", KEY_OF_TEAM)
    assert store.load("train", KEY) == entry


def test_a_key_that_can_be_guessed_is_refused(monkeypatch):
    monkeypatch.setenv("STUDY_STORE_KEY", "secret")
    with pytest.raises(ConfigError, match=r"^STUDY_STORE_KEY has 6 characters and needs 16") as e:
        shared_store.check()
    assert "secret" not in str(e.value)


def test_a_store_at_an_address_has_the_same_limits(move, monkeypatch):
    monkeypatch.setenv("STUDY_STORE", "memory://team")
    entry = publish()
    assert shared_store.read("train", KEY, "spec.json", 100) == b'{"depth": 2}'
    with pytest.warns(UserWarning, match="larger than 5 bytes"):
        assert shared_store.read("train", KEY, "spec.json", 5) is None
    move("there")
    assert store.load("train", KEY) == entry
    monkeypatch.setattr(store, "LARGEST_FILE", 100)
    move("elsewhere")
    refused("larger than 100 bytes")


def test_a_store_at_an_address_that_lies_about_a_size_sends_no_more_than_that(
    move, monkeypatch, tmp_path
):
    monkeypatch.setenv("STUDY_STORE", "memory://lying")
    publish()
    monkeypatch.setattr(MemoryFileSystem, "size", lambda *_: 4)
    assert shared_store.download("train", KEY, {WEIGHTS: 5}, tmp_path)
    assert (tmp_path / WEIGHTS).stat().st_size == 5
    with pytest.warns(UserWarning, match="larger than 5 bytes"):
        assert shared_store.read("train", KEY, "spec.json", 5) is None


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nothing://bucket/x", "; set it to a folder or to s3://bucket/...$"),
        ("gcs://bucket/x", r"gcsfs.*; pip install 'latent-study\[team\]'$"),
    ],
)
def test_an_address_that_nothing_opens_is_one_line(monkeypatch, address, said):
    monkeypatch.setenv("STUDY_STORE", address)
    with pytest.raises(ConfigError, match=f"^STUDY_STORE: [^\n]*{said}"):
        shared_store.check()


def test_a_bucket_that_is_not_there_is_one_line(monkeypatch):
    monkeypatch.setattr(MemoryFileSystem, "exists", lambda *_: False)
    monkeypatch.setenv("STUDY_STORE", "memory://bucket/x")
    with pytest.raises(ConfigError, match=r"^STUDY_STORE: FileNotFoundError: there is no.*set it"):
        shared_store.check()
