"""A saved network that runs: each operator is on a fixed list, each argument is a plain value."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from models.exported.archive import DTYPES, STRIDED, read_archive
from models.exported.arguments import check_arguments
from models.exported.operators import ARITHMETIC, FIXED_ARGUMENTS, TEXTS, find_operator
from models.exported.schema import (
    Argument,
    InputSpec,
    Name,
    Node,
    OptionalTensor,
    ProgramError,
    Signature,
    SymBool,
    SymInt,
)
from models.messages import shown

MEMORY_FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
CONSTANTS: dict[str, Callable[[int], Any]] = {
    "as_none": lambda _: None,
    "as_scalar_type": DTYPES.__getitem__,
    "as_memory_format": MEMORY_FORMATS.__getitem__,
    "as_layout": lambda _: torch.strided,
    "as_device": lambda _: torch.device("cpu"),  # wherever it was saved
}
LARGEST_INTEGER = 2**63 - 1
# what torch's operators raise for values that they do not take
OPERATOR_ERRORS = (
    RuntimeError,
    TypeError,
    ValueError,
    LookupError,
    ArithmeticError,
    MemoryError,
    AssertionError,
)
Values = dict[str, Any]


class Program:
    """A network of a ``.pt2`` archive: one tensor in, one tensor out, on the CPU.

    It computes what torch's own loader would compute, bit for bit. Nothing of the archive is
    evaluated, unpickled or looked up except operators of the list in ``models.exported.operators``.
    Raises ProgramError for a program that contains anything else.
    """

    def __init__(self, content: bytes):
        exported, weights, constants = read_archive(content)
        self._nodes = exported.graph_module.graph.nodes
        signature = exported.graph_module.signature
        self._input, self._output = _only_input(signature), _only_output(signature)
        self._weights = _named_weights(signature.input_specs, weights, constants)
        known = {self._input, *self._weights}
        for node in self._nodes:
            _check(node, known)
            known.update(_results(node))
        if self._output not in known:
            raise ProgramError(f"it returns {shown(self._output)}, which nothing computes")
        self._unused_after = _last_uses(self._nodes, self._output)

    def __call__(self, x: Tensor) -> Tensor:
        """The network's output for a batch; the operators may change ``x`` in place.

        Raises ProgramError if an operator does not take its arguments, or weights would change.
        """
        values: Values = {**self._weights, self._input: x}
        before = [weight._version for weight in self._weights.values()]
        with torch.no_grad():
            for node, unused in zip(self._nodes, self._unused_after, strict=True):
                _run(node, values)
                for name in unused:
                    values.pop(name, None)
        if before != [weight._version for weight in self._weights.values()]:
            raise ProgramError("it changes its own weights")
        result = values[self._output]
        if not isinstance(result, Tensor):
            raise ProgramError("it does not return a tensor")
        return result


def _only_input(signature: Signature) -> str:
    given = [spec.user_input.arg for spec in signature.input_specs if spec.user_input]
    if len(given) != 1 or given[0].as_tensor is None:
        raise ProgramError(f"it has {len(given)} inputs; one tensor is expected")
    return given[0].as_tensor.name


def _only_output(signature: Signature) -> str:
    returned = [spec.user_output.arg for spec in signature.output_specs if spec.user_output]
    if len(returned) != 1 or returned[0].as_tensor is None:
        raise ProgramError(f"it has {len(returned)} outputs; one tensor is expected")
    return returned[0].as_tensor.name


def _named_weights(
    specs: Iterable[InputSpec], weights: dict[str, Tensor], constants: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The tensors that exist before the first call, by their names in the graph."""
    found = {}
    for spec in specs:
        if spec.parameter:
            name, stored, source = spec.parameter.arg.name, spec.parameter.parameter_name, weights
        elif spec.buffer:
            name, stored = spec.buffer.arg.name, spec.buffer.buffer_name
            source = weights if stored in weights else constants  # if it is not persistent
        elif spec.tensor_constant:
            name, stored = spec.tensor_constant.arg.name, spec.tensor_constant.tensor_constant_name
            source = constants
        else:
            continue
        if stored not in source:
            raise ProgramError(f"no weight {shown(stored)}")
        found[name] = source[stored]
    return found


def _check(node: Node, known: set[str]) -> None:
    """Raise ProgramError for a call that is not on the list, or uses what does not exist."""
    if find_operator(node.target) is None:
        raise ProgramError(f"the operator {shown(node.target)} is not on the list")
    names = [one.name for one in node.inputs]
    if node.target not in ARITHMETIC and len(set(names)) != len(names):
        raise ProgramError(f"an argument of {shown(node.target)} is given twice")
    for one in node.inputs:
        _check_argument(node.target, one.name, one.arg)
        for used in _names(one.arg):
            if used not in known:
                raise ProgramError(f"{shown(node.target)} uses {shown(used)} before it is computed")


def _check_argument(target: str, name: str, argument: Argument) -> None:
    text = argument.as_string
    if text is not None and not (name in TEXTS and TEXTS[name].fullmatch(text)):
        raise ProgramError(f"the text {shown(text)} as {shown(name)} of {target!r}")
    if name in FIXED_ARGUMENTS and getattr(argument, argument.kind) != FIXED_ARGUMENTS[name]:
        raise ProgramError(f"{name!r} of {target!r} is not {FIXED_ARGUMENTS[name]}")
    tables: list[tuple[int | None, Iterable[int]]] = [
        (argument.as_scalar_type, DTYPES),
        (argument.as_memory_format, MEMORY_FORMATS),
        (argument.as_layout, [STRIDED]),
    ]
    for number, table in tables:
        if number is not None and number not in table:
            raise ProgramError(f"{argument.kind} {number} as {shown(name)} of {target!r}")


def _reference(part: Any) -> str | None:
    """The name of the value that a part of an argument stands for, None for a given value."""
    if isinstance(part, OptionalTensor):
        part = part.as_tensor
    if isinstance(part, Name):
        return part.name
    return part.as_name if isinstance(part, SymInt | SymBool) else None


def _names(argument: Argument) -> list[str]:
    """The names of values that an argument refers to."""
    one = getattr(argument, argument.kind)
    found = map(_reference, one if isinstance(one, list) else [one])
    return [name for name in found if name is not None]


def _results(node: Node) -> list[str]:
    return [name for output in node.outputs for name in _names(output)]


def _last_uses(nodes: list[Node], output: str) -> list[list[str]]:
    """For each call the values that no later call uses; so memory is freed early."""
    seen = {output}
    found = []
    for node in reversed(nodes):
        mentioned = {name for one in node.inputs for name in _names(one.arg)} | {*_results(node)}
        found.append(sorted(mentioned - seen))
        seen |= mentioned
    return found[::-1]


def _run(node: Node, values: Values) -> None:
    """Call one operator and keep its results under their names."""
    call = find_operator(node.target)
    assert call is not None
    try:
        if node.target in ARITHMETIC:
            numbers = [_value(one.arg, values) for one in node.inputs]
            if not all(isinstance(number, int) for number in numbers):
                raise TypeError("it is for whole numbers")
            result = call(*numbers)
            if abs(result) > LARGEST_INTEGER:
                raise ValueError("a number is too large")
        else:
            given = {one.name: _value(one.arg, values) for one in node.inputs}
            check_arguments(call, given)
            result = call(**given)
        values.update(_named_results(node, result))
    except ProgramError:
        raise
    except OPERATOR_ERRORS as error:
        why = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        raise ProgramError(f"{node.target!r} fails: {why}") from None


def _named_results(node: Node, result: Any) -> Values:
    """The results of a call by name. Several tensors are one list or several outputs."""
    names = _results(node)
    several = isinstance(result, tuple | list)
    results = list(result) if several else [] if result is None else [result]
    if len(names) != len(results):
        raise ProgramError(f"{node.target!r} has {len(results)} results, not {len(names)}")
    return dict(zip(names, results, strict=True))


def _value(argument: Argument, values: Values) -> Any:
    """The plain value of an argument."""
    one = getattr(argument, argument.kind)
    if argument.kind in CONSTANTS:
        return CONSTANTS[argument.kind](one)
    return [_part(part, values) for part in one] if isinstance(one, list) else _part(one, values)


def _part(part: Any, values: Values) -> Any:
    name = _reference(part)
    if name is not None:
        return values[name]
    if isinstance(part, OptionalTensor):
        return None
    return getattr(part, part.kind) if isinstance(part, SymInt | SymBool) else part
