"""A network saved as an MLflow model: its files checked, its network loaded; none of it is run.

MLflow's own loader obeys the folder: it imports the loader and the code that ``MLmodel`` names,
unpickles, and evaluates texts. Here the files are data, and whatever ``save_model`` does not write
is refused.
"""

import json
import math
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.exported.schema import ProgramError
from models.messages import in_one_line, shown
from models.specs import ConfigError
from tasks.system.files import read_regular_file
from tasks.system.yaml_files import parse_yaml

if TYPE_CHECKING:
    from models.exported.program import Program

MODEL_FILE = "MLmodel"  # in every folder with a saved model
ARCHIVE = "data/model.pt2"
# the files that a saved model may have, and their largest sizes in bytes; only two are read
SAVED_FILES = {
    MODEL_FILE: 2**14,
    ARCHIVE: 2**30,
    "conda.yaml": 2**18,
    "python_env.yaml": 2**18,
    "requirements.txt": 2**18,
    "input_example.json": 2**28,
    "serving_input_example.json": 2**28,
    "registered_model_meta": 2**18,  # by MLflow's own loader
}
FLAVORS: dict[str, dict[str, Any]] = {
    "python_function": {
        "config": {"device": "cpu"},
        "data": "data",
        "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
        "loader_module": "mlflow.pytorch",
        "pickle_module_name": "mlflow.pytorch.pickle_module",
    },
    "pytorch": {"code": None, "model_data": "data"},
}
VERSIONS = {"python_function": "python_version", "pytorch": "pytorch_version"}
MAX_VALUES = 2**26  # of one input or output
MAX_MESSAGE = 400
ReadFile = Callable[[str, int], bytes]  # of a file by name; OSError if it has more bytes than this


class RefusedModelError(ConfigError):
    """A saved model that is not loaded; the message names it and says what was found.

    It is one line of at most 400 characters; control characters of a file are escaped in it.
    """

    def __init__(self, message: str):
        super().__init__(in_one_line(message, MAX_MESSAGE))


class SavedModel:
    """A loaded network: it maps float32 (n, *inputs) to float32 (n, *outputs), on the CPU.

    ``name`` is for messages; ``inputs`` and ``outputs`` are the shapes for one image.
    """

    def __init__(
        self, name: str, inputs: tuple[int, ...], outputs: tuple[int, ...], program: "Program"
    ):
        self.name, self.inputs, self.outputs = name, inputs, outputs
        self._program = program

    def predict(self, batch: np.ndarray) -> np.ndarray:
        """The outputs (n, *outputs), float32, for a batch (n, *inputs), float32.

        Raises ValueError for another type or shape, and for a batch that the network cannot take.
        """
        import torch

        if (found := self._wrong_input(batch)) is not None:
            expected = f"float32 (n{''.join(f', {size}' for size in self.inputs)})"
            raise ValueError(f"{self.name} takes an array {expected}, not {found}")
        if not len(batch):
            return np.zeros((0, *self.outputs), np.float32)
        try:
            result = self._program(torch.tensor(batch))  # a copy: it may be changed in place
        except ProgramError as error:
            raise ValueError(f"{self.name}: {error}") from None
        if result.dtype is not torch.float32 or result.shape != (len(batch), *self.outputs):
            given = f"{result.dtype} {tuple(result.shape)}"
            raise ValueError(f"{self.name} returned {given} for {len(batch)} images")
        return result.detach().numpy().copy()

    def _wrong_input(self, batch: object) -> str | None:
        """What is given instead of a batch, and how to convert it; None for a batch."""
        if not isinstance(batch, np.ndarray):
            ways = {"list": "np.asarray(batch, 'float32')", "Tensor": "batch.float().numpy()"}
            given = type(batch).__name__
            return f"{given}; convert it: {ways[given]}" if given in ways else given
        if batch.dtype == np.float32 and batch.shape[1:] == self.inputs and batch.ndim:
            return None
        steps = ""
        if batch.shape[1:] == self.inputs[1:] and self.inputs[0] == 1:
            steps = "[:, None]"  # images without a channel
        elif batch.ndim == 4 and (*batch.shape[3:], *batch.shape[1:3]) == self.inputs:
            steps = ".transpose(0, 3, 1, 2)"  # images with their channels last
        elif batch.shape[1:] != self.inputs or not batch.ndim:
            return f"{batch.dtype} {batch.shape}"
        if batch.dtype != np.float32:
            steps += ".astype('float32')"
        if batch.dtype == np.uint8 and len(self.inputs) == 3:
            steps += " / 255"  # levels are in [0, 1]
        return f"{batch.dtype} {batch.shape}; convert it: batch{steps}"


def load_saved_model(name: str, sizes: Mapping[str, int], read: ReadFile) -> SavedModel:
    """The network of a saved model, from the sizes of its files and a function that reads one.

    ``name`` is for messages. Raises RefusedModelError unless the files are those that
    ``save_model`` writes, and the network runs on a batch of zeros.
    """
    from models.exported.program import Program

    try:
        _check_files(sizes)
        inputs, outputs = _signature(read(MODEL_FILE, SAVED_FILES[MODEL_FILE]))
        program = Program(read(ARCHIVE, SAVED_FILES[ARCHIVE]))
        model = SavedModel(name, inputs, outputs, program)
    except (ProgramError, _ForeignError) as error:
        raise RefusedModelError(f"{name} is not loaded: {error}") from None
    except OSError as error:
        why = error.strerror or str(error)
        raise RefusedModelError(f"{name} is not loaded: its files cannot be read ({why})") from None
    try:
        model.predict(np.zeros((2, *inputs), np.float32))
    except ValueError as error:
        raise RefusedModelError(f"{name} is not loaded: {error}") from None
    return model


def load_saved_folder(name: str, folder: Path) -> SavedModel:
    """The network of a saved model in a local folder.

    Raises RefusedModelError as ``load_saved_model`` does, and for links and special files.
    """

    def read(file: str, limit: int) -> bytes:
        return read_regular_file(folder / file, limit, follow_links=False)

    try:
        sizes = _sizes(folder)
    except OSError as error:
        why = error.strerror or str(error)
        raise RefusedModelError(f"{name} is not loaded: its files cannot be read ({why})") from None
    except _ForeignError as error:
        raise RefusedModelError(f"{name} is not loaded: {error}") from None
    return load_saved_model(name, sizes, read)


class _ForeignError(ValueError):
    """What ``save_model`` does not write."""


def _sizes(folder: Path) -> dict[str, int]:
    """The sizes of the files in a folder by their names; of links and the like none is read."""
    found = {}
    for place in ("", "data/"):
        with os.scandir(folder / place) as entries:
            for entry in entries:
                name, status = place + entry.name, entry.stat(follow_symlinks=False)
                if name == "data" and stat.S_ISDIR(status.st_mode):
                    continue
                if not stat.S_ISREG(status.st_mode):
                    raise _ForeignError(f"{shown(name)} is not a regular file")
                found[name] = status.st_size
                _check_file(name, status.st_size)
    return found


def _check_files(sizes: Mapping[str, int]) -> None:
    for name, size in sizes.items():
        _check_file(name, size)
    for name in (MODEL_FILE, ARCHIVE):
        if name not in sizes:
            raise _ForeignError(f"its file {name!r} is missing")


def _check_file(name: str, size: int) -> None:
    if name not in SAVED_FILES:
        raise _ForeignError(f"it has the file {shown(name)}, which no saved model has")
    if size > SAVED_FILES[name]:
        raise _ForeignError(f"its file {name!r} is larger than {SAVED_FILES[name]:,} bytes")


def _signature(content: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes of one input and one output that ``MLmodel`` states, if it is one of ours."""
    try:
        described = parse_yaml(content.decode())
    except ValueError as error:
        raise _ForeignError(f"its file {MODEL_FILE!r} is not plain YAML ({error})") from None
    if not isinstance(described, dict) or not isinstance(described.get("flavors"), dict):
        raise _ForeignError(f"its file {MODEL_FILE!r} names no flavors")
    _check_flavors(described["flavors"])
    signature = described.get("signature")
    if not isinstance(signature, dict) or signature.get("params"):
        raise _ForeignError(f"its file {MODEL_FILE!r} has no signature of ours")
    return _shape(signature.get("inputs")), _shape(signature.get("outputs"))


def _check_flavors(flavors: dict[str, Any]) -> None:
    """Refuse an ``MLmodel`` that would have MLflow load anything but our archive."""
    for name in sorted(flavors.keys() | FLAVORS.keys(), key=str):
        expected, given = FLAVORS.get(name), flavors.get(name)
        if expected is None or not isinstance(given, dict):
            shown = str(name)[:80]
            raise _ForeignError(f"the flavor {shown!r} in {MODEL_FILE!r} is missing or not ours")
        for key in sorted((given.keys() | expected.keys()) - {VERSIONS[name]}, key=str):
            if key not in given or given[key] != expected.get(key, NotImplemented):
                found = f"{in_one_line(str(key), 80)}: {str(given.get(key))[:80]!r}"
                raise _ForeignError(f"the flavor {name!r} in {MODEL_FILE!r} has {found}")


def _shape(text: Any) -> tuple[int, ...]:
    """The shape for one image of a tensor that a signature describes as JSON."""
    try:
        (described,) = json.loads(text)
        spec = described["tensor-spec"]
        batch, *shape = spec["shape"]
        is_ours = described["type"] == "tensor" and spec["dtype"] == "float32" and batch == -1
    except (ValueError, TypeError, KeyError, RecursionError):
        is_ours, shape = False, []
    are_sizes = all(type(size) is int and size > 0 for size in shape)
    if not is_ours or not are_sizes or math.prod(shape) > MAX_VALUES:
        raise _ForeignError(f"its signature {str(text)[:80]!r} is not of float32 tensors")
    return tuple(shape)
