"""Checkpoints of trainings in progress: one file per key, written atomically, verified before use.

A checkpoint is ``store/checkpoints/<task>-<key>/epoch-<n>-<sha256>.safetensors``. Its name
contains the digest of its content, so every changed bit is noticed. Its header says its format.
"""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.cache import store
from tasks.system.files import flush, regular_file_size, sha256_of
from tasks.system.folders import study_home

if TYPE_CHECKING:
    from models.training.snapshots import Snapshot


SUFFIX = ".safetensors"
# Raise it when a checkpoint has other content for the same key. Those of format 1 do not name it.
FORMAT = 2


def folder_of(task: str, key: str) -> Path:
    """The folder for the checkpoints of a task with this key, whether it exists or not."""
    return study_home() / "store" / "checkpoints" / f"{task}-{key}"


def remove(task: str, key: str) -> None:
    """Remove the checkpoints of a training that is done."""
    shutil.rmtree(folder_of(task, key), ignore_errors=True)


def _newest(folder: Path) -> Path | None:
    return max(folder.glob(f"epoch-{'[0-9]' * 6}-*{SUFFIX}"), default=None)


def newest_epoch(task: str, key: str) -> int | None:
    """The epoch after which a training would resume; None without a checkpoint."""
    newest = _newest(folder_of(task, key))
    return int(newest.name.split("-")[1]) if newest else None


def verify_checkpoints(task: str, key: str) -> Path:
    """Set checkpoints aside that cannot be used, with a warning; returns the folder to resume from.

    Call it with the key locked.
    """
    folder = folder_of(task, key)
    for path in folder.glob("*"):
        if path.suffix != SUFFIX and regular_file_size(path) is not None:
            path.unlink()  # incomplete: its process was killed
        elif problem := _problem(path):
            store.quarantine(path, f"{problem}: {path.name[:18]}... of {task}/{key[:12]}")
    return folder


def _problem(path: Path) -> str:
    """Why a checkpoint cannot be used; empty if it can."""
    sha256 = path.name.removesuffix(SUFFIX).rpartition("-")[2]
    if regular_file_size(path) is None or sha256_of(path) != sha256:
        return "checkpoint damaged"
    try:
        written = _format_of(path)
    except Exception:  # one that something else wrote under a name that fits
        return "checkpoint damaged"
    if written > FORMAT:
        return f"checkpoint of format {written}, and this version reads formats up to {FORMAT}"
    return ""


def _format_of(path: Path) -> int:
    """The format of a checkpoint. Raises an error of any kind for another file."""
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        metadata = file.metadata()
    json.loads(metadata["data"])
    return int(metadata.get("format", 1))


class CheckpointFolder:
    """Saves the newest snapshot of one training in a folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def save(self, snapshot: "Snapshot") -> None:
        """Write a snapshot durably, then remove the older ones."""
        from safetensors.torch import save_file

        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / "epoch.tmp"
        save_file(
            snapshot.tensors,
            temporary,
            {"format": str(FORMAT), "data": json.dumps(snapshot.data)},
        )
        flush(temporary)
        name = f"epoch-{snapshot.epoch:06d}-{sha256_of(temporary)}{SUFFIX}"
        temporary.rename(self.folder / name)
        flush(self.folder)
        for older in self.folder.glob(f"epoch-*{SUFFIX}"):
            if older.name != name:
                older.unlink()

    def load(self) -> "Snapshot | None":
        """The newest snapshot; None if there is none."""
        from safetensors import safe_open

        from models.training.snapshots import Snapshot

        path = _newest(self.folder)
        if path is None:
            return None
        with safe_open(path, "pt") as file:
            data = json.loads(file.metadata()["data"])
            return Snapshot({name: file.get_tensor(name) for name in file.keys()}, data)  # noqa: SIM118
