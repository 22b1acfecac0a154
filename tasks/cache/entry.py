"""One finished task as the store keeps it: its manifest and where its files are."""

import json
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

from tasks.cache.canonical import digest
from tasks.system.files import flush, sha256_of
from tasks.system.folders import study_home

MANIFEST = "manifest.json"


class Entry(BaseModel):
    """One finished task: what it was asked, what it returned, which files it left.

    ``identity`` holds what distinguishes it from others of its step; entries of versions before
    0.2 have none. ``seconds`` is the time that the computation took.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    key: str
    name: str
    identity: dict[str, Any] = {}
    inputs: dict[str, Any]
    code: dict[str, str]
    result: dict[str, Any]
    files: dict[str, str]
    seconds: float
    provenance: dict[str, Any]

    @field_validator("files")
    @classmethod
    def _inside(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise ValueError(f"{name!r} is outside the entry")
        return files

    @property
    def fingerprint(self) -> str:
        """Digest of the content; equal for equal answers, however and whenever computed."""
        return digest([self.task, self.result, self.files])

    @property
    def folder(self) -> Path:
        """Where the entry is now; the store may be moved between runs."""
        return entry_folder(self.task, self.key)

    def path(self, name: str) -> Path:
        """A file of the entry."""
        return self.folder / name


def entry_folder(task: str, key: str) -> Path:
    """Where the entry of a task with this key is, or would be."""
    return study_home() / "store" / task / key


def unseal(text: str | bytes, task: str, key: str) -> Entry | None:
    """The entry of a manifest, None if it is damaged or that of another task."""
    try:
        sealed = json.loads(text)
        entry = Entry.model_validate(sealed["entry"])
        intact = sealed["sha256"] == digest(sealed["entry"])  # as written, by whichever version
    except (ValueError, KeyError, TypeError):
        return None
    return entry if intact and (entry.task, entry.key) == (task, key) else None


def find_damage(entry: Entry, folder: Path) -> str:
    """The name of the first file that is damaged or missing, if any."""
    for name, sha256 in entry.files.items():
        path = folder / name
        if not path.is_file() or sha256_of(path) != sha256:
            return name
    return ""


def files_in(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by relative name."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths}


def seal(folder: Path, entry: Entry) -> None:
    """Write an entry's manifest beside its files, and make all of it durable."""
    for name in entry.files:
        flush(folder / name)
    content = entry.model_dump(mode="json")
    manifest = folder / MANIFEST
    sealed = {"entry": content, "sha256": digest(content)}
    manifest.write_text(json.dumps(sealed, indent=1), encoding="utf-8")
    flush(manifest)
