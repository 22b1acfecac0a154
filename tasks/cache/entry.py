"""One finished task in the store: its manifest and its files."""

import json
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, field_validator

from tasks.cache.canonical import JsonObject, digest
from tasks.system.files import flush, sha256_of
from tasks.system.folders import study_home

MANIFEST = "manifest.json"


class Entry(BaseModel):
    """One finished task: its inputs, its code, its result and its files.

    ``identity`` is what distinguishes it from others of its step; entries of versions before 0.2
    have none. ``code`` is the digest of each definition by ``module:name``, ``files`` the SHA-256
    of each file by relative name, ``seconds`` the time that the computation took.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    key: str
    name: str
    identity: JsonObject = {}
    inputs: JsonObject
    code: dict[str, str]
    result: JsonObject
    files: dict[str, str]
    seconds: float
    provenance: JsonObject

    @field_validator("files")
    @classmethod
    def _inside(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise ValueError(f"{name!r} is outside the entry")
        return files

    @property
    def fingerprint(self) -> str:
        """Digest of result and files: the same for equal results, whenever they were computed.

        Trap: a key contains it in place of the entry, see ``tasks.cache.canonical.to_json``.
        """
        return digest([self.task, self.result, self.files])

    @property
    def folder(self) -> Path:
        """The entry's folder in the present STUDY_HOME; the store may be moved between runs."""
        return entry_folder(self.task, self.key)

    def path(self, name: str) -> Path:
        """The path of one of the entry's files."""
        return self.folder / name


def entry_folder(task: str, key: str) -> Path:
    """The folder for the entry of a task with this key, whether it exists or not."""
    return study_home() / "store" / task / key


def read_manifest(text: str | bytes, task: str, key: str) -> Entry | None:
    """The entry in a manifest; None if the manifest is damaged or of another task or key."""
    try:
        manifest = json.loads(text)
        entry = Entry.model_validate(manifest["entry"])
        # of the text as it is: another version's entry may lack fields that have defaults now
        intact = manifest["sha256"] == digest(manifest["entry"])
    except (ValueError, KeyError, TypeError):
        return None
    return entry if intact and (entry.task, entry.key) == (task, key) else None


def find_damage(entry: Entry, folder: Path) -> str:
    """The name of the first file that is damaged or missing; empty if all are intact."""
    for name, sha256 in entry.files.items():
        path = folder / name
        if not path.is_file() or sha256_of(path) != sha256:
            return name
    return ""


def files_in(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by relative name, sorted."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths}


def write_manifest(folder: Path, entry: Entry) -> None:
    """Flush an entry's files to the disk, then write its manifest beside them, durably."""
    for name in entry.files:
        flush(folder / name)
    content = entry.model_dump(mode="json")
    manifest = {"entry": content, "sha256": digest(content)}
    path = folder / MANIFEST
    path.write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    flush(path)
