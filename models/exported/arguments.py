"""Bounds on what an operator is given, for torch's own code crashes on some numbers.

It reads types by their number in a table, adds sizes without a check for overflow, and loops as
often as an argument says.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from models.exported.schema import ProgramError

LARGEST_INTEGER = 2**31
MAX_VALUES = 2**28  # of a tensor whose size an argument gives
MAX_STEP = 2**12  # of paddings, kernels, strides and dilations
MAX_PIECES = 10_000  # of one tensor
END = 2**63 - 1  # torch writes it for the end of a slice that has none
# what only its own kind of value stands for, by torch's name of its type
KINDS: dict[str, tuple[type, ...]] = {
    "ScalarType": (torch.dtype,),
    "Layout": (torch.layout,),
    "MemoryFormat": (torch.memory_format,),
    "Device": (torch.device,),
    "Tensor": (Tensor, int, float),  # torch makes a tensor of a number
}
STEPS = {"padding", "pad", "kernel_size", "stride", "dilation", "output_padding"}
SIZES = {"size", "shape", "sizes", "output_size", "normalized_shape", "n", "m", "steps"}
# names of arguments that multiply the size of a tensor, by operator
FACTORS = {
    "aten::repeat": "repeats",
    "aten::repeat_interleave": "repeats",
    "aten::tile": "dims",
    "aten::one_hot": "num_classes",
}
RESIZING = ("aten::upsample", "aten::_upsample", "aten::adaptive")
Values = Mapping[str, Any]


def check_arguments(overload: Any, values: Values) -> None:
    """Raise ProgramError for a number or a type on which torch's operator could crash or hang."""
    schema = overload._schema
    kinds = {one.name: str(one.real_type) for one in schema.arguments}
    for name, value in values.items():
        kind = KINDS.get(kinds.get(name, "").removeprefix("Optional[").removesuffix("]"))
        if kind and value is not None and not isinstance(value, kind):
            raise ProgramError(f"{name!r} of {schema.name!r} is not a {kind[0].__name__}")
        for number in _integers(value):
            _check_integer(schema.name, name, number)
    if any(isinstance(one, Tensor) and one.dim() > 64 for one in values.values()):
        raise ProgramError(f"a tensor of {schema.name!r} has more than 64 dimensions")
    count = max(_asked(schema.name, values), _padded(values))
    if count > MAX_VALUES:
        raise ProgramError(f"{schema.name!r} would make more than {MAX_VALUES:,} values")
    if (check := CHECKS.get(schema.name)) and not check(values):
        raise ProgramError(f"{schema.name!r} does not take these values")


def _check_integer(operator: str, name: str, number: int) -> None:
    if operator == "aten::slice" and name in {"start", "end"} and abs(number) <= END:
        return
    largest = MAX_STEP if name in STEPS else LARGEST_INTEGER
    if abs(number) > largest:
        raise ProgramError(f"a number beyond {largest:,} as {name!r} of {operator!r}")


def _integers(value: Any) -> list[int]:
    values = value if isinstance(value, list | tuple) else [value]
    return [one for one in values if isinstance(one, int)]


def _product(value: Any) -> int:
    return math.prod(max(number, 1) for number in _integers(value))


def _asked(operator: str, values: Values) -> float:
    """How many values of a new tensor the arguments name."""
    count: float = math.prod(_product(values[name]) for name in SIZES & values.keys())
    given = values.get("self", values.get("input"))
    if operator == "aten::eye":
        count = _product(values.get("n")) * _product(values.get("m", values.get("n")))
    elif operator in FACTORS and isinstance(given, Tensor):
        count = given.numel() * _product(values.get(FACTORS[operator]))
    elif operator == "aten::arange":
        start, end, step = values.get("start", 0), values.get("end", 0), values.get("step", 1)
        count = abs(end - start) / (abs(step) or 1)
    elif operator.startswith(RESIZING) and isinstance(given, Tensor):
        factors = values.get("scale_factors") or ()
        grown = (abs(one) * side for one, side in zip(factors, given.shape[2:], strict=False))
        count = math.prod(given.shape[:2]) * max(count, math.prod(grown))
    return count


def _padded(values: Values) -> int:
    """At most how many values a tensor has with its padding; 0 if that is little more."""
    steps = [abs(n) for name in ("padding", "pad") for n in _integers(values.get(name))]
    given = values.get("self", values.get("input"))
    if not isinstance(given, Tensor) or max(steps, default=0) <= 16:
        return 0
    padded = [size + 2 * max(steps) for size in given.shape[-3:]][-max(1, len(steps) // 2) :]
    return math.prod(padded) * math.prod(given.shape[: given.dim() - len(padded)])


def _few_pieces(values: Values) -> bool:
    given, dim = values.get("self"), values.get("dim", 0)
    if not isinstance(given, Tensor) or not isinstance(dim, int):
        return False
    if not -given.dim() <= dim < given.dim():
        return False
    size = values.get("split_size", 1)
    return isinstance(size, list) or given.shape[dim] <= MAX_PIECES * max(size, 1)


def _is_norm_of(values: Values) -> bool:
    """Whether ``g`` has one value for each part of ``v`` along the dimension."""
    v, g, dim = values.get("v"), values.get("g"), values.get("dim", 0)
    if not isinstance(v, Tensor) or not isinstance(g, Tensor) or not 0 <= dim < v.dim():
        return False
    return list(g.shape) == [size if n == dim else 1 for n, size in enumerate(v.shape)]


def _divides_numbers(values: Values) -> bool:
    """Whether no integer is divided with truncation: the smallest by -1 ends the process."""
    given = values.get("self")
    is_float = isinstance(given, Tensor) and given.is_floating_point()
    return values.get("rounding_mode") != "trunc" or is_float


def _repeats_what_is_there(values: Values) -> bool:
    """Whether circular padding adds at most a whole side, and cuts nothing off.

    torch returns memory of others otherwise.
    """
    given, pads = values.get("self"), _integers(values.get("pad"))
    if values.get("mode") != "circular":
        return True
    if not isinstance(given, Tensor) or len(pads) > 2 * given.dim():
        return False
    return all(0 <= pad <= given.shape[-1 - n // 2] for n, pad in enumerate(pads))


CHECKS: dict[str, Callable[[Values], bool]] = {
    "aten::_weight_norm": _is_norm_of,
    "aten::div": _divides_numbers,
    "aten::pad": _repeats_what_is_there,
    "aten::split": _few_pieces,
    "aten::chunk": lambda values: values.get("chunks", 0) <= MAX_PIECES,
    "aten::unbind": _few_pieces,
}
