"""Checkpoints of trainings in progress: one file per key, written atomically, verified before use.

A checkpoint is ``store/checkpoints/<task>-<key>/epoch-<n>-<sha256>.safetensors``. Its name
contains the digest of its content, so every changed bit is noticed.
"""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.cache import store
from tasks.system.files import flush, sha256_of
from tasks.system.folders import study_home

if TYPE_CHECKING:
    from models.training.snapshots import Snapshot


SUFFIX = ".safetensors"


def folder_of(task: str, key: str) -> Path:
    """The folder for the checkpoints of a task with this key, whether it exists or not."""
    return study_home() / "store" / "checkpoints" / f"{task}-{key}"


def remove(task: str, key: str) -> None:
    """Remove the checkpoints of a training that is done."""
    shutil.rmtree(folder_of(task, key), ignore_errors=True)


def _newest(folder: Path) -> Path | None:
    return max(folder.glob(f"epoch-*{SUFFIX}"), default=None)


def newest_epoch(task: str, key: str) -> int | None:
    """The epoch after which a training would resume; None without a checkpoint."""
    newest = _newest(folder_of(task, key))
    return int(newest.name.split("-")[1]) if newest else None


def verify_checkpoints(task: str, key: str) -> Path:
    """Move damaged checkpoints to quarantine with a warning; returns the folder to resume from.

    Call it with the key locked.
    """
    folder = folder_of(task, key)
    for path in folder.glob("*"):
        sha256 = path.name.removesuffix(SUFFIX).rpartition("-")[2]
        if path.suffix != SUFFIX:
            path.unlink()  # incomplete: its process was killed
        elif sha256_of(path) != sha256:
            store.quarantine(path, f"checkpoint damaged: {path.name[:18]}... of {task}/{key[:12]}")
    return folder


class CheckpointFolder:
    """Saves the newest snapshot of one training in a folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def save(self, snapshot: "Snapshot") -> None:
        """Write a snapshot durably, then remove the older ones."""
        from safetensors.torch import save_file

        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / "epoch.tmp"
        save_file(snapshot.tensors, temporary, {"data": json.dumps(snapshot.data)})
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
