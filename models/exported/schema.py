"""The parts of a torch.export archive that are read: its graph and the description of its weights.

Field names are those of torch's own schema (``torch._export.serde.schema``). Values that are not
declared here are not accepted as arguments, and elsewhere not looked at: shapes as expressions,
guards, call graphs.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

MAJOR_VERSION = 8  # of torch's schema
Float = Annotated[float, Field(strict=False)]  # torch writes infinity as a text


class ProgramError(ValueError):
    """A program that is not run; the message says what was found in it, in one line."""


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
    as_int: int | None = None


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
    as_tensors: list[Name] | None = None
    as_optional_tensor: OptionalTensor | None = None
    as_optional_tensors: list[OptionalTensor] | None = None
    as_int: int | None = None
    as_ints: list[int] | None = None
    as_sym_int: SymInt | None = None
    as_sym_ints: list[SymInt] | None = None
    as_float: Float | None = None
    as_floats: list[Float] | None = None
    as_bool: bool | None = None
    as_bools: list[bool] | None = None
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
    inputs: list[NamedArgument]
    outputs: list[Argument]


class Graph(Part):
    """The calls in the order in which they run."""

    nodes: list[Node]


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

    input_specs: list[InputSpec]
    output_specs: list[OutputSpec]


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

    as_int: Annotated[int, Field(ge=0)]


class TensorMeta(Part):
    """How a tensor is laid out in its file."""

    dtype: int
    sizes: list[Size]
    strides: list[Size]
    storage_offset: Size
    layout: int
    requires_grad: bool


class Payload(Part):
    """A tensor and the name of its file."""

    path_name: str
    is_param: bool
    use_pickle: bool
    tensor_meta: TensorMeta | None


class PayloadConfig(Part):
    """The content of ``model_weights_config.json`` and ``model_constants_config.json``."""

    config: dict[str, Payload]


def one_line(error: ValidationError) -> str:
    """Where the first mistake is, and what it is."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    found = repr(first["input"])
    found = found if len(found) <= 60 else f"{found[:60]}..."
    return f"{where}: {first['msg']} ({found})" if where else str(first["msg"])
