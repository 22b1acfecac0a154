"""The parts of a torch.export archive that are read: its graph and the description of its weights.

Field names are those of torch's own schema (``torch._export.serde.schema``). Values that are not
declared here are not accepted as arguments, and elsewhere not looked at: shapes as expressions,
guards, call graphs.
"""

from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from models.messages import cut, in_one_line

MAJOR_VERSION = 8  # of torch's schema
MAX_NODES, MAX_VALUES, MAX_DIMENSIONS = 10_000, 1_000, 64
MAX_WEIGHTS = 10_000
MAX_SIZE = 2**40
MAX_MESSAGE = 300
T = TypeVar("T")
Float = Annotated[float, Field(strict=False)]  # torch writes infinity as a text
Int = Annotated[int, Field(ge=-(2**63), lt=2**63)]
# reading ends at the first mistake: each one takes a thousand times the memory of its value
Values = Annotated[list[T], Field(max_length=MAX_VALUES, fail_fast=True)]
Dimensions = Annotated[list[T], Field(max_length=MAX_DIMENSIONS, fail_fast=True)]
Parts = Annotated[list[T], Field(max_length=MAX_NODES, fail_fast=True)]


class ProgramError(ValueError):
    """A program that is not run; the message says what was found in it, in one line."""

    def __init__(self, message: str):
        super().__init__(in_one_line(message, MAX_MESSAGE))


class Part(BaseModel):
    """A part of the graph; what is not declared is not looked at."""

    model_config = ConfigDict(strict=True, frozen=True)


class OneOf(Part):
    """Exactly one of the declared kinds of value."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _has_one_kind(cls, value: Any) -> Any:
        if not isinstance(value, dict) or len(value) != 1:
            raise ValueError("is not one value of one kind")
        return value

    @property
    def kind(self) -> str:
        """The name of the field that is given."""
        (name,) = self.model_fields_set
        return name


class Name(Part):
    """The name of a value."""

    name: str


class SymInt(OneOf):
    """A whole number: given, or the name of one that was computed."""

    as_name: str | None = None
    as_int: Int | None = None


class SymBool(OneOf):
    """A truth value: given, or the name of one that was computed."""

    as_name: str | None = None
    as_bool: bool | None = None


class OptionalTensor(OneOf):
    """A tensor or nothing."""

    as_tensor: Name | None = None
    as_none: bool | None = None


class Device(Part):
    """Where a tensor was; here everything is on the CPU."""

    type: str


class Argument(OneOf):
    """An argument or a result of an operator."""

    as_none: bool | None = None
    as_tensor: Name | None = None
    as_tensors: Values[Name] | None = None
    as_optional_tensor: OptionalTensor | None = None
    as_optional_tensors: Values[OptionalTensor] | None = None
    as_int: Int | None = None
    as_ints: Values[Int] | None = None
    as_sym_int: SymInt | None = None
    as_sym_ints: Values[SymInt] | None = None
    as_float: Float | None = None
    as_floats: Values[Float] | None = None
    as_bool: bool | None = None
    as_bools: Values[bool] | None = None
    as_sym_bool: SymBool | None = None
    as_string: str | None = None
    as_scalar_type: int | None = None
    as_layout: int | None = None
    as_memory_format: int | None = None
    as_device: Device | None = None


class NamedArgument(Part):
    """An argument under the name that the operator has for it; empty for plain arithmetic."""

    name: str
    arg: Argument


class Node(Part):
    """One call of an operator."""

    target: str
    inputs: Values[NamedArgument]
    outputs: Values[Argument]


class Graph(Part):
    """The calls in the order in which they run."""

    nodes: Parts[Node]


class UserInput(Part):
    """An argument of the network."""

    arg: Argument


class Parameter(Part):
    """A weight that is trained."""

    arg: Name
    parameter_name: str


class Buffer(Part):
    """A weight that is not trained."""

    arg: Name
    buffer_name: str


class TensorConstant(Part):
    """A tensor that the network's code contains."""

    arg: Name
    tensor_constant_name: str


class InputSpec(OneOf):
    """What a named value is before the first call."""

    user_input: UserInput | None = None
    parameter: Parameter | None = None
    buffer: Buffer | None = None
    tensor_constant: TensorConstant | None = None


class OutputSpec(OneOf):
    """What the network returns."""

    user_output: UserInput | None = None


class Signature(Part):
    """The named values before the first call and after the last."""

    input_specs: Parts[InputSpec]
    output_specs: Parts[OutputSpec]


class GraphModule(Part):
    """A network: its calls and its signature."""

    graph: Graph
    signature: Signature


class SchemaVersion(Part):
    """The version of torch's schema."""

    major: int


class ExportedProgram(Part):
    """The content of ``models/model.json``."""

    graph_module: GraphModule
    schema_version: SchemaVersion


class Size(OneOf):
    """A size of a weight, which is a number: only values inside the graph have unknown sizes."""

    as_int: Annotated[int, Field(ge=0, le=MAX_SIZE)]


class TensorMeta(Part):
    """How a tensor is laid out in its file."""

    dtype: int
    sizes: Dimensions[Size]
    strides: Dimensions[Size]
    storage_offset: Size
    layout: int
    requires_grad: bool


class Payload(Part):
    """A tensor and the name of its file."""

    path_name: str
    is_param: bool
    use_pickle: bool
    tensor_meta: TensorMeta | None


def _is_bounded(value: Any) -> Any:
    if isinstance(value, dict) and len(value) > MAX_WEIGHTS:
        raise ValueError(f"has more than {MAX_WEIGHTS:,} weights")
    return value


class PayloadConfig(Part):
    """The content of ``model_weights_config.json`` and ``model_constants_config.json``."""

    config: Annotated[dict[str, Payload], BeforeValidator(_is_bounded)]


def first_mistake(error: ValidationError) -> str:
    """Where the first mistake is, and what it is."""
    first = error.errors(include_url=False)[0]
    where = in_one_line(".".join(str(part)[:100] for part in first["loc"]), 160)
    found = cut(repr(first["input"]), 60)  # of bounded size, as the file is
    return f"{where}: {first['msg']} ({found})" if where else str(first["msg"])
