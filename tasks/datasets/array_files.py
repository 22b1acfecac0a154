"""Reads NumPy arrays in .npz and .npy files: what they hold, without the values, and the values.

Nothing is unpickled. A header is not believed: the file must have the bytes that it promises.
"""

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from models.messages import in_one_line
from tasks.datasets.dataset import DatasetError
from tasks.datasets.found_files import StoredArray, listed
from tasks.datasets.image_file import MOST_BYTES
from tasks.system.files import open_regular_file

if TYPE_CHECKING:
    from numpy.typing import NDArray


MOST_ARRAYS = 1_000  # in a file or folder
SUFFIXES = (".npz", ".npy")
LONGEST_REASON = 200  # characters


def stored_arrays(path: Path) -> dict[str, StoredArray]:
    """The arrays in a .npz file, a .npy file, or the .npy files of a folder, by name.

    Raises DatasetError if there are none, or if one is damaged or holds Python objects.
    """
    path = path.absolute()
    try:
        single = not path.is_dir()
        if single and not path.exists():
            raise DatasetError(
                f"dataset.path: {path} does not exist; name a .npz file or a folder of .npy files "
                "(a path in a study file starts at that file, one of --set at the current folder)"
            )
        files = [path] if single else sorted(path.iterdir())
    except OSError as error:
        raise DatasetError(
            f"dataset.path: cannot read {path}: {error.strerror}; name another file"
        ) from None
    if single and path.suffix.lower() == ".npz":
        return _in_archive(path)
    chosen = [file for file in files if file.suffix.lower() == ".npy" and file.name[0] != "."]
    if not chosen or len(chosen) > MOST_ARRAYS:
        archives = [file.name for file in files if file.suffix.lower() == ".npz"]
        if single:
            what = "is no .npz or .npy file"
        elif archives:
            what = f"has no .npy files; name one of its files: {listed(archives)}"
        else:
            what = f"has {len(chosen):,} .npy files" if chosen else "has no .npy files"
        raise DatasetError(
            f"dataset.path: {path} {what}; name a .npz file or a folder of .npy files"
        )
    return {file.stem: _header_of(file, file.stem, file.stat().st_size) for file in chosen}


def read_array(array: StoredArray) -> "NDArray[Any]":
    """The values of an array of any shape; those of a .npy file are read when they are used.

    Raises DatasetError if its file is damaged.
    """
    import numpy as np

    with _naming(array.file, array.name):
        if array.file.suffix.lower() == ".npy":
            with open_regular_file(array.file, MOST_BYTES):
                pass
            return np.lib.format.open_memmap(array.file, mode="r")
        with _open_archive(array.file) as archive, archive.open(f"{array.name}.npy") as stream:
            values: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
            return values


def _in_archive(path: Path) -> dict[str, StoredArray]:
    found = {}
    with _naming(path), _open_archive(path) as archive:
        members = [one for one in archive.infolist() if one.filename.endswith(".npy")]
        if len(members) > MOST_ARRAYS:
            raise ValueError(f"it has {len(members):,} arrays")
    for member in members:
        name = member.filename.removesuffix(".npy")
        found[name] = _header_of(path, name, member.file_size)
    if not found:
        raise DatasetError(f"dataset.path: {path} holds no arrays; write it with numpy.savez")
    return found


@contextmanager
def _open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    with open_regular_file(path, MOST_BYTES) as file, zipfile.ZipFile(file) as archive:
        yield archive


@contextmanager
def _naming(path: Path, name: str = "") -> Iterator[None]:
    """Raise any error as a DatasetError that names the file, and the array if there is one."""
    try:
        yield
    except DatasetError:
        raise
    except Exception as error:  # zip files and headers fail in many ways
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        what = f"array {in_one_line(name, 80)!r} in {path}" if name else f"{path}"
        raise DatasetError(
            f"dataset.path: cannot read {what}: {in_one_line(why, LONGEST_REASON)}; write it again "
            "with numpy.savez or numpy.save"
        ) from None


def _header_of(path: Path, name: str, size: int) -> StoredArray:
    """What the header of an array says, if the file has as many bytes as it promises."""
    with _naming(path, name):
        if path.suffix.lower() == ".npy":
            with open_regular_file(path, MOST_BYTES) as stream:
                return _checked(path, name, stream, size)
        with _open_archive(path) as archive, archive.open(f"{name}.npy") as member:
            return _checked(path, name, member, size)


def _checked(path: Path, name: str, stream: IO[bytes], size: int) -> StoredArray:
    from numpy.lib import format as npy

    version = npy.read_magic(stream)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError("its header is not that of plain numbers")
    shape, _, dtype = readers[version](stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not unpickled; save numbers or texts")
    if dtype.names or dtype.subdtype:
        raise ValueError("it has several fields; save plain numbers")
    expected, found = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if expected > MOST_BYTES:
        raise ValueError(f"its {expected:,} bytes are more than {MOST_BYTES:,}")
    if expected != found:
        raise ValueError(f"its header promises {expected:,} bytes, and it has {found:,}")
    return StoredArray(path, name, tuple(map(int, shape)), dtype)
