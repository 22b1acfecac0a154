"""A ``.pt2`` archive of torch.export as its graph and its tensors, read as plain data."""

import math
import re
import struct
import sys
import zipfile
from io import BytesIO
from typing import TypeVar

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from models.exported.schema import (
    MAJOR_VERSION,
    ExportedProgram,
    Part,
    Payload,
    PayloadConfig,
    ProgramError,
    first_mistake,
)
from models.messages import shown

# the sample inputs are a pickle, and are never opened
MEMBER = re.compile(
    r"model/(?:archive_format|archive_version|byteorder|\.data/version|\.data/serialization_id"
    r"|models/model\.json|data/sample_inputs/model\.pt"
    r"|data/weights/(?:weight_\d{1,6}|model_weights_config\.json)"
    r"|data/constants/(?:tensor_\d{1,6}|model_constants_config\.json))"
)
GRAPH = "model/models/model.json"
WEIGHTS, CONSTANTS = "model/data/weights", "model/data/constants"
MAX_MEMBERS = 10_000
MAX_JSON_BYTES = 2**21
ENTRY_MARK = b"PK\x01\x02"  # at the start of each entry in a zip file's list of members
MAX_EMPTY = 2**28  # product of the other sizes of a tensor without values
STRIDED = 7  # the layout of plain tensors
# by the numbers of torch's schema
DTYPES = {
    1: torch.uint8,
    2: torch.int8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    12: torch.bool,
    13: torch.bfloat16,
}
Tensors = dict[str, Tensor]
Read = TypeVar("Read", bound=Part)


def read_archive(content: bytes) -> tuple[ExportedProgram, Tensors, Tensors]:
    """The program in an archive, its weights and its constants by name; all on the CPU.

    Nothing is unpickled or extracted, and memory is bounded by a small multiple of the archive's
    size. Raises ProgramError for everything that ``torch.export.save`` does not write for a network
    of plain tensors.
    """
    members = _members(content)
    if members.get("model/byteorder", b"little") != sys.byteorder.encode():
        raise ProgramError("its weights are in the byte order of another processor")
    program = _parse(ExportedProgram, GRAPH, members)
    major = program.schema_version.major
    if major != MAJOR_VERSION:
        raise ProgramError(f"torch's schema {major} is not the known one, {MAJOR_VERSION}")
    weights = _tensors(members, WEIGHTS, "model_weights_config.json")
    return program, weights, _tensors(members, CONSTANTS, "model_constants_config.json")


def _members(content: bytes) -> dict[str, bytes]:
    """The members of a zip file by name, all of them stored as they are."""
    if content.count(ENTRY_MARK) > MAX_MEMBERS:
        raise ProgramError(f"more than {MAX_MEMBERS:,} files in its archive")
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            entries = archive.infolist()
            _check_entries(entries, len(content))
            return {entry.filename: archive.read(entry) for entry in entries}
    except ProgramError:
        raise
    except (
        zipfile.BadZipFile,
        struct.error,
        EOFError,
        OSError,
        ValueError,
        OverflowError,
        RuntimeError,  # encrypted, or of a kind that is not known
    ) as error:
        raise ProgramError(f"a broken archive ({error})") from None


def _check_entries(entries: list[zipfile.ZipInfo], limit: int) -> None:
    names = set()
    for entry in entries:
        name = entry.filename
        if not MEMBER.fullmatch(name):
            raise ProgramError(f"{shown(name)} in its archive")
        if name in names:
            raise ProgramError(f"{name!r} twice in its archive")
        names.add(name)
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
            raise ProgramError(f"{name!r} is compressed or encrypted")
    if sum(entry.file_size for entry in entries) > limit:
        raise ProgramError("files in its archive are declared larger than the archive")


def _parse(kind: type[Read], name: str, members: dict[str, bytes]) -> Read:
    if name not in members:
        raise ProgramError(f"no {name!r} in its archive")
    if len(members[name]) > MAX_JSON_BYTES:
        raise ProgramError(f"{name!r} is larger than {MAX_JSON_BYTES:,} bytes")
    try:
        return kind.model_validate_json(members[name])
    except ValidationError as error:
        raise ProgramError(f"{name.rpartition('/')[2]}: {first_mistake(error)}") from None


def _tensors(members: dict[str, bytes], folder: str, description: str) -> Tensors:
    """The tensors that a folder of the archive describes, by name."""
    payloads = _parse(PayloadConfig, f"{folder}/{description}", members).config
    storages: Tensors = {}  # several weights may share one
    found = {}
    for name, payload in payloads.items():
        path = f"{folder}/{payload.path_name}"
        if payload.use_pickle:
            raise ProgramError(f"the weight {shown(name)} is a pickle")
        if path not in members:
            raise ProgramError(f"no {shown(path)} in its archive")
        if path not in storages:
            storages[path] = _bytes_as_tensor(members[path])
        try:
            found[name] = _tensor(storages[path], payload)
        except (ProgramError, RuntimeError, TypeError, ValueError) as error:
            why = str(error).partition("\n")[0]
            raise ProgramError(f"the weight {shown(name)} does not fit its file ({why})") from None
    return found


def _bytes_as_tensor(content: bytes) -> Tensor:
    # the copy is aligned as torch aligns its tensors
    return torch.frombuffer(bytearray(content or b"\0"), dtype=torch.uint8)[: len(content)].clone()


def _tensor(storage: Tensor, payload: Payload) -> Tensor:
    """A tensor over the bytes (n) of its file."""
    meta = payload.tensor_meta
    if meta is None or meta.layout != STRIDED or meta.dtype not in DTYPES:
        raise ProgramError("of an unknown type")
    values = storage.view(DTYPES[meta.dtype])
    if values.dtype is torch.bool:
        values = storage != 0  # torch relies on a byte of 0 or 1
    sizes, strides = [s.as_int for s in meta.sizes], [s.as_int for s in meta.strides]
    limit = max(values.numel(), MAX_EMPTY)
    if len(sizes) != len(strides) or math.prod(sizes) > values.numel():
        raise ProgramError(f"{values.numel()} values for the shape {sizes[:8]}")
    last = meta.storage_offset.as_int
    last += sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True) if size)
    if math.prod(sizes) and last >= values.numel():
        raise ProgramError(f"{values.numel()} values, but value {last} is used")
    # torch multiplies the sizes and strides of an empty tensor, too
    if math.prod(max(size, 1) for size in sizes) > limit or max(strides, default=0) > limit:
        raise ProgramError("sizes or strides are too large")
    tensor = values.as_strided(sizes, strides, meta.storage_offset.as_int)
    # matrix products choose another order of additions for trained weights, as torch loads them
    return nn.Parameter(tensor, meta.requires_grad) if payload.is_param else tensor
