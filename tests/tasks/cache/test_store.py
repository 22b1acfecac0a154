import pytest

from tasks.cache import store
from tasks.cache.entry import MANIFEST, Entry, files_in


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
