import json

import pytest

from tasks.cache import store
from tasks.cache.canonical import digest
from tasks.cache.entry import FORMAT, MANIFEST, Entry, files_in, sizes_in
from tests.special_files import replace_file


def publish(content=b"weights"):
    with store.workspace("train", "abc") as folder:
        (folder / "weights.safetensors").write_bytes(content)
        entry = Entry(
            task="train",
            key="abc",
            name="train[x]",
            inputs={"spec": {"depth": 2}},
            code={"models.autoencoder:Decoder": "d"},
            result={"loss": 0.5},
            files=files_in(folder),
            sizes=sizes_in(folder),
            seconds=1.0,
            provenance={},
        )
        store.publish(folder, entry)
    return entry


def test_a_published_entry_is_loaded():
    assert store.load("train", "abc") is None
    entry = publish()
    assert store.load("train", "abc") == entry
    assert entry.path("weights.safetensors").read_bytes() == b"weights"


def test_the_fingerprint_follows_content_not_time():
    entry = publish()
    assert entry.model_copy(update={"seconds": 9.0, "key": "z"}).fingerprint == entry.fingerprint
    assert entry.model_copy(update={"result": {}}).fingerprint != entry.fingerprint


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _unlink(path):
    path.unlink()


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [_flip, _unlink, _truncate])
@pytest.mark.parametrize("name", ["weights.safetensors", MANIFEST])
def test_a_damaged_entry_moves_to_quarantine_with_a_warning(home, damage, name):
    entry = publish()
    damage(entry.path(name))
    with pytest.warns(UserWarning, match=f"store entry damaged: {name}"):
        assert store.load("train", "abc") is None
    assert not entry.folder.exists()
    assert len(list((home / "store" / "quarantine").iterdir())) == 1
    assert store.load("train", "abc") is None
    publish()
    assert store.load("train", "abc") == entry


def test_a_changed_number_in_the_manifest_is_damage():
    path = publish().path(MANIFEST)
    path.write_text(path.read_text().replace("0.5", "0.4"))
    with pytest.warns(UserWarning, match="damaged"):
        assert store.load("train", "abc") is None


@pytest.mark.parametrize(
    ("task", "key"),
    [("..", "mlartifacts"), ("../../x", "y"), ("x", "/y"), ("", "y"), ("x", "")],
)
def test_a_name_that_leads_out_of_the_store_is_an_error(home, task, key):
    (home / "mlartifacts").mkdir(parents=True)
    for function in (store.load, store.inspect):
        with pytest.raises(ValueError, match="names no entry of a store"):
            function(task, key)
    assert [path.name for path in home.iterdir()] == ["mlartifacts"]


def test_the_store_can_be_moved(home, tmp_path, monkeypatch):
    entry = publish()
    home.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("STUDY_HOME", str(tmp_path / "elsewhere"))
    assert store.load("train", "abc") == entry
    assert entry.path("weights.safetensors").is_file()


def test_the_folder_of_a_killed_process_is_removed(home):
    left = home / "store" / "tmp" / "train-abc-left"
    left.mkdir(parents=True)
    publish()
    assert not left.exists()


def test_a_failed_workspace_leaves_nothing(home):
    with pytest.raises(ZeroDivisionError), store.workspace("train", "abc") as folder:
        (folder / str(1 / 0)).write_bytes(b"x")
    assert list((home / "store" / "tmp").iterdir()) == []


def rewrite(change):
    """Publish an entry, then change its manifest and seal it again, as another version may do."""
    entry = publish()
    manifest = json.loads(entry.path(MANIFEST).read_text())
    change(manifest)
    manifest["sha256"] = digest(manifest["entry"])
    entry.path(MANIFEST).write_text(json.dumps(manifest))
    return entry


def test_an_entry_of_format_1_is_read():
    def before_formats(manifest):
        del manifest["format"], manifest["entry"]["sizes"], manifest["entry"]["identity"]

    entry = rewrite(before_formats)
    assert store.load("train", "abc") == entry.model_copy(update={"sizes": {}})


def test_a_field_that_another_version_added_is_ignored():
    entry = rewrite(lambda manifest: manifest["entry"].update(colour="red"))
    assert store.load("train", "abc") == entry


def test_an_entry_of_a_newer_format_is_set_aside_with_the_true_reason(home):
    newer = rewrite(lambda manifest: manifest.update(format=FORMAT + 1))
    reason = f"store entry of format {FORMAT + 1}, and this version reads formats up to {FORMAT}"
    assert store.inspect("train", "abc") == (None, reason)
    with pytest.warns(UserWarning, match=f"^{reason} of train/abc; moved to .*computed again"):
        assert store.load("train", "abc") is None
    assert not newer.folder.exists()
    (kept,) = (home / "store" / "quarantine").iterdir()
    assert (kept / "weights.safetensors").read_bytes() == b"weights"


@pytest.mark.parametrize("format", [1, FORMAT])
@pytest.mark.parametrize("name", ["weights.safetensors", MANIFEST])
@pytest.mark.parametrize("kind", ["pipe", "link", "folder", "huge"])
def test_only_regular_files_of_the_right_size_are_read(tmp_path, name, kind, format):
    entry = rewrite(lambda manifest: manifest["entry"].update(sizes={}) if format == 1 else None)
    replace_file(entry.path(name), kind, tmp_path / "linked")
    assert store.inspect("train", "abc") == (None, f"store entry damaged: {name}")


@pytest.mark.parametrize("text", ["[" * 100_000, "null", "[]", '{"entry": 3}', '{"format": "x"}'])
def test_a_manifest_of_any_content_is_damage(text):
    publish().path(MANIFEST).write_text(text)
    assert store.inspect("train", "abc") == (None, f"store entry damaged: {MANIFEST}")
