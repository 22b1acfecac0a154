import hashlib
import json
import os
import random

import pytest
import torch
from safetensors.torch import save_file

from models.training.snapshots import Snapshot
from tasks.cache import checkpoints
from tasks.cache.checkpoints import FORMAT, CheckpointFolder, folder_of, verify_checkpoints


def snapshot(epoch=3):
    generator = torch.Generator().manual_seed(epoch)
    tensors = {
        "model/weight": torch.rand(40, 25, generator=generator),
        "optimizer/0/step": torch.tensor(12.0),
        "generator": generator.get_state(),
    }
    return Snapshot(tensors, {"epoch": epoch, "history": [[1, 5, 0.1, 0.2, 1e-3]]})


@pytest.fixture
def folder():
    folder = folder_of("train", "abc")
    CheckpointFolder(folder).save(snapshot())
    return folder


def only(folder):
    (path,) = folder.iterdir()
    return path


def test_a_snapshot_comes_back_bit_for_bit(folder):
    loaded = CheckpointFolder(verify_checkpoints("train", "abc")).load()
    assert loaded.data == snapshot().data
    assert loaded.tensors.keys() == snapshot().tensors.keys()
    assert all(torch.equal(loaded.tensors[k], v) for k, v in snapshot().tensors.items())


def test_only_the_newest_is_kept(folder):
    CheckpointFolder(folder).save(snapshot(4))
    assert CheckpointFolder(folder).load().epoch == 4
    assert checkpoints.newest_epoch("train", "abc") == 4
    only(folder)


def test_the_newest_is_loaded_if_a_kill_left_two(folder):
    older = only(folder)
    content = older.read_bytes()
    CheckpointFolder(folder).save(snapshot(12))
    older.write_bytes(content)
    assert CheckpointFolder(verify_checkpoints("train", "abc")).load().epoch == 12


def test_without_a_checkpoint_training_starts_at_the_beginning():
    assert CheckpointFolder(verify_checkpoints("train", "none")).load() is None
    assert checkpoints.newest_epoch("train", "none") is None


def test_half_a_write_is_removed(folder):
    (folder / "epoch.tmp").write_bytes(b"half")
    assert CheckpointFolder(verify_checkpoints("train", "abc")).load().epoch == 3
    only(folder)


def damaged(folder, content):
    """Whether a checkpoint with this content is not loaded and moves to quarantine."""
    path = only(folder)
    whole = path.read_bytes()
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="checkpoint damaged"):
        empty = CheckpointFolder(verify_checkpoints("train", "abc")).load() is None
    path.write_bytes(whole)
    return empty


def test_each_of_a_thousand_flipped_bits_is_noticed(folder):
    content = only(folder).read_bytes()
    chance = random.Random(0)
    for _ in range(1000):
        flipped = bytearray(content)
        flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        assert damaged(folder, flipped)
    assert len(list((folder.parents[1] / "quarantine").iterdir())) == 1000


def test_a_checkpoint_cut_at_any_kilobyte_is_noticed(folder):
    content = only(folder).read_bytes()
    for size in range(0, len(content), 1024):
        assert damaged(folder, content[:size])


def test_removal_leaves_nothing(folder):
    checkpoints.remove("train", "abc")
    assert not folder.exists()


def rename_to_fit(path):
    """Give a checkpoint the name that fits its content, as something else may do."""
    name = f"epoch-000003-{hashlib.sha256(path.read_bytes()).hexdigest()}.safetensors"
    return path.rename(path.with_name(name))


def of_format(folder, number):
    path = only(folder)
    data = json.dumps(snapshot().data)
    metadata = {"data": data} if number is None else {"data": data, "format": str(number)}
    save_file(snapshot().tensors, path, metadata)
    rename_to_fit(path)


def test_a_checkpoint_of_format_1_is_read(folder):
    of_format(folder, None)
    assert CheckpointFolder(verify_checkpoints("train", "abc")).load().data == snapshot().data


def test_a_checkpoint_of_a_newer_format_is_set_aside_with_the_true_reason(folder):
    of_format(folder, FORMAT + 1)
    with pytest.warns(UserWarning, match=f"checkpoint of format {FORMAT + 1}, and this version"):
        assert CheckpointFolder(verify_checkpoints("train", "abc")).load() is None


@pytest.mark.parametrize("content", [b"", b"\x80\x05N.", b"no checkpoint"])
def test_something_else_under_a_name_that_fits_is_set_aside(folder, content):
    only(folder).write_bytes(content)
    rename_to_fit(only(folder))
    with pytest.warns(UserWarning, match="checkpoint damaged"):
        assert CheckpointFolder(verify_checkpoints("train", "abc")).load() is None


def test_tensors_without_the_data_of_a_snapshot_are_set_aside(folder):
    save_file(snapshot().tensors, only(folder))
    rename_to_fit(only(folder))
    with pytest.warns(UserWarning, match="checkpoint damaged"):
        assert CheckpointFolder(verify_checkpoints("train", "abc")).load() is None


@pytest.mark.parametrize("name", ["{}", "loose", "epoch-x-y.safetensors"])
def test_a_pipe_is_set_aside_without_waiting(folder, name):
    path = only(folder)
    path.unlink()
    os.mkfifo(path.with_name(name.format(path.name)))
    with pytest.warns(UserWarning, match="checkpoint damaged"):
        assert CheckpointFolder(verify_checkpoints("train", "abc")).load() is None
    assert checkpoints.newest_epoch("train", "abc") is None
