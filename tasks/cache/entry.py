"""One finished task in the store: its manifest and its files."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator
from safetensors import SafetensorError

from models.messages import shown
from tasks.cache import signatures
from tasks.cache.canonical import JsonObject, digest
from tasks.cache.provenance import Provenance
from tasks.cache.results import check_result
from tasks.code.code_digest import digest_of_parts
from tasks.system.files import flush, regular_file_size, sha256_of
from tasks.system.folders import study_home

MANIFEST = "manifest.json"
# Of a manifest. Raise it when versions that read the present one could not use a new manifest; a
# field that they may ignore needs no new format. Manifests of format 1 do not name their format.
FORMAT = 2
LARGEST_MANIFEST = 4 << 20  # bytes; a hundred times the largest of the shipped studies
LARGEST_FILE = 4 << 30  # bytes, of a file whose size the manifest does not say
NAME_OF_FOLDER = r"^[A-Za-z0-9_]{1,64}$"
NAME_OF_FILE = r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*"


class UnusableEntryError(ValueError):
    """Why an entry in a store cannot be used."""


class Entry(BaseModel):
    """One finished task: its inputs, its code, its result and its files.

    ``identity`` is what distinguishes it from others of its step; entries of versions before 0.2
    have none. ``code`` is the digest of each definition by ``module:name``, made in the way that
    ``code_format`` names. ``own_code`` is the same of a user's code, by the digest that names that
    code in inputs; plans show it, and it is not checked. ``files`` is the SHA-256 of each file by
    relative name, ``sizes`` its bytes; entries of format 1 have no sizes. ``seconds`` is the time
    that the computation took.
    """

    model_config = ConfigDict(frozen=True)

    task: str = Field(pattern=NAME_OF_FOLDER)
    key: str = Field(pattern=NAME_OF_FOLDER)
    name: str
    identity: JsonObject = {}
    inputs: JsonObject
    code: dict[str, str]
    code_format: int = 1
    own_code: dict[str, dict[str, str]] = {}
    result: JsonObject
    files: dict[str, str]
    sizes: dict[str, int] = {}
    seconds: float = Field(ge=0, le=1e9, allow_inf_nan=False)
    provenance: JsonObject

    @field_validator("files")
    @classmethod
    def _inside(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            if name == MANIFEST or not re.fullmatch(NAME_OF_FILE, name):
                raise ValueError(f"{name!r} is no name of a file in an entry")
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
    """The folder for the entry of a task with this key, whether it exists or not.

    Raises ValueError for what is no name of a task or a key: it may lead out of the store.
    """
    for name in (task, key):
        if not re.fullmatch(NAME_OF_FOLDER, name):
            raise ValueError(f"{shown(f'{task}/{key}')} names no entry of a store")
    return study_home() / "store" / task / key


def read_manifest(text: bytes, task: str, key: str, *, foreign: bool = False) -> Entry:
    """The entry in a manifest.

    Raises UnusableEntryError for a manifest that is damaged, of another task or key, or of a newer
    format. A ``foreign`` one, which others may have written, is also refused if it is not signed
    with this machine's STUDY_STORE_KEY, or if its inputs and code do not lead to its key.
    """
    try:
        manifest = json.loads(text)
        written = manifest.get("format", 1)
        if isinstance(written, int) and written > FORMAT:
            raise UnusableEntryError(
                f"store entry of format {written}, and this version reads formats up to {FORMAT}"
            )
        # of the text as it is: another version's entry may have other fields
        sha256 = digest(manifest["entry"])
        entry = Entry.model_validate(manifest["entry"])
    except UnusableEntryError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise _damaged(MANIFEST) from None
    if (manifest.get("sha256"), entry.task, entry.key) != (sha256, task, key):
        raise _damaged(MANIFEST)
    if foreign:
        if not signatures.is_accepted(sha256, manifest.get("signature")):
            raise UnusableEntryError(f"store entry not signed with this {signatures.VARIABLE}")
        _check_foreign(entry)
    return entry


def _check_foreign(entry: Entry) -> None:
    """Raise UnusableEntryError unless inputs and code lead to the key, and the rest fits too."""
    try:
        TypeAdapter(Provenance).validate_python(entry.provenance, strict=True)
        check_result(entry.task, entry.result)
    except ValueError:
        raise _damaged(MANIFEST) from None
    if digest([entry.task, entry.inputs, digest_of_parts(entry.code)]) != entry.key:
        raise _damaged(MANIFEST)


def check_files(entry: Entry, folder: Path) -> None:
    """Raise UnusableEntryError unless every file of the entry is in the folder and intact.

    A file of another size, or that is no regular file, is not read.
    """
    for name, sha256 in entry.files.items():
        path = folder / name
        size = regular_file_size(path)
        expected = entry.sizes.get(name, size)
        if size is None or size != expected or size > largest_size(entry, name):
            raise _damaged(name)
        if sha256_of(path) != sha256:
            raise _damaged(name)


def largest_size(entry: Entry, name: str) -> int:
    """The most bytes that a file of this entry may have."""
    return entry.sizes.get(name, LARGEST_FILE)


def _damaged(name: str) -> UnusableEntryError:
    return UnusableEntryError(f"store entry damaged: {name}")


@contextmanager
def loading(entry: Entry) -> Iterator[None]:
    """Raise UnusableEntryError, with what to do, if the content of an intact entry does not fit."""
    try:
        yield
    except (SafetensorError, RuntimeError, ValueError, LookupError, TypeError) as error:
        raise UnusableEntryError(
            f"{entry.name} holds something else than its step writes; delete {entry.folder} and "
            "run it again"
        ) from error


def files_in(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by relative name, sorted."""
    return {name: sha256_of(path) for name, path in _paths_in(folder).items()}


def sizes_in(folder: Path) -> dict[str, int]:
    """The size in bytes of every file below a folder, by relative name, sorted."""
    return {name: path.stat().st_size for name, path in _paths_in(folder).items()}


def _paths_in(folder: Path) -> dict[str, Path]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in paths}


def write_manifest(folder: Path, entry: Entry) -> None:
    """Flush an entry's files to the disk, then write its manifest beside them, durably."""
    for name in entry.files:
        flush(folder / name)
    content = entry.model_dump(mode="json")
    sha256 = digest(content)
    manifest = {"format": FORMAT, "entry": content, "sha256": sha256}
    signature = signatures.sign(sha256)
    if signature:
        manifest["signature"] = signature
    path = folder / MANIFEST
    path.write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    flush(path)
