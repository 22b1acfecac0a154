"""What the result of each step holds, as JSON. Results that others may have written are checked.

A step whose entries are never taken from a shared store is not here.
"""

from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Literal, NotRequired

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    create_model,
    with_config,
)
from typing_extensions import TypedDict  # pydantic needs it before Python 3.12

from models.measures.glossary import measured_by
from models.specs import ModelSpec, ObjectiveSpec, TrainingRecipe, TransferSpec
from tasks.cache.canonical import JsonObject

# no result has another key: its reader may copy all of them, and this tells a wrong key early
EXACTLY = ConfigDict(extra="forbid", strict=True)
exactly = with_config(EXACTLY)


def _describes(kind: type[BaseModel]) -> Callable[[JsonObject], JsonObject]:
    def check(value: JsonObject) -> JsonObject:
        if kind.model_validate(value).model_dump(mode="json") != value:
            raise ValueError(f"not all of {kind.__name__}")
        return value

    return check


def _is_square(rows: list[list[int]]) -> list[list[int]]:
    if any(len(row) != len(rows) for row in rows):
        raise ValueError("its rows differ in length")
    return rows


Spec = Annotated[JsonObject, AfterValidator(_describes(ModelSpec))]
Recipe = Annotated[JsonObject, AfterValidator(_describes(TrainingRecipe))]
Objective = Annotated[JsonObject, AfterValidator(_describes(ObjectiveSpec))]
Scenario = Annotated[JsonObject, AfterValidator(_describes(TransferSpec))]
# what floats, databases and MLflow hold; a manifest holds no NaN, and reads it as nothing
Count = Annotated[int, Field(ge=0, le=2**53)]
Integer = Annotated[int, Field(ge=-(2**53), le=2**53)]
Number = Annotated[float, Field(allow_inf_nan=False)]


def _measures(step: str) -> type[BaseModel]:
    """What the metrics of a step hold: its measures in the glossary."""
    fields: dict[str, Any] = {}
    for one in measured_by(step):
        kind: Any = Count if one.is_count else Number
        fields[one.name] = (kind | None if one.optional else kind, ...)
    return create_model(f"metrics of {step}", __config__=EXACTLY, **fields)


TrainMetrics = Annotated[JsonObject, AfterValidator(_describes(_measures("train")))]
EvaluateMetrics = Annotated[JsonObject, AfterValidator(_describes(_measures("evaluate")))]
CorrelateMetrics = Annotated[JsonObject, AfterValidator(_describes(_measures("correlate")))]
TransferMetrics = Annotated[JsonObject, AfterValidator(_describes(_measures("transfer")))]


@exactly
class EpochResult(TypedDict):
    """As ``models.training.loop.Epoch``."""

    epoch: Count
    epochs: Count
    train_loss: Number
    test_loss: Number
    learning_rate: Number
    parts: NotRequired[dict[str, Number]]
    validation_loss: NotRequired[Number | None]


ImageShape = Annotated[list[Count], Field(min_length=3, max_length=3)]
JudgedValues = Annotated[list[Number | None], Field(min_length=1, max_length=10)]
History = Annotated[list[EpochResult], Field(min_length=1, max_length=10_000)]


@exactly
class DataResult(TypedDict):
    """A dataset; ``sha256`` is of its tensors, ``levels`` became black to white.

    ``image_shape`` are channels, height and width.
    """

    name: str
    sha256: str
    image_shape: ImageShape
    n_train: Count
    n_test: Count
    n_validation: Count
    n_classes: Count
    classes: list[str]
    levels: Annotated[list[Number], Field(min_length=2, max_length=2)] | None
    skipped: Count
    notes: list[str]


@exactly
class PcaResult(TypedDict):
    """``test_loss`` is PCA's test loss for each number of components, from 0.

    ``exact`` is false where only the first components were found, by a randomized method.
    """

    test_loss: Annotated[list[Number], Field(min_length=1)]
    rank: Count
    exact: bool


@exactly
class NetworkReach(TypedDict):
    """The pixels that one architecture does not see or cannot change; ``floor`` is a loss.

    A pixel counts if one of its channels does.
    """

    unknown: str
    pixels: Count
    unseen_pixels: Count
    unreachable_pixels: Count
    place: str
    constants: Count
    floor: Number
    variance_share: Number


@exactly
class ReachResult(TypedDict):
    """Of each architecture, and PCA's test loss on the pixels that all of them reach."""

    networks: list[NetworkReach]
    reached_pixels: Count
    pca_test_loss: Annotated[list[Number], Field(min_length=1)]


@exactly
class ModelSize(TypedDict):
    """MLflow parameters of a trained model besides its spec and recipe.

    ``flops_per_image`` is the arithmetic of a training step for one image.
    """

    n_parameters: Count
    flops_per_image: Count


@exactly
class TrainResult(TypedDict):
    """A trained autoencoder; ``engine`` computed it, which earlier versions did not say."""

    spec: Spec
    recipe: Recipe
    objective: Objective
    image_shape: ImageShape
    history: History
    parameters: ModelSize
    metrics: TrainMetrics
    engine: NotRequired[Literal["torch", "hand-written"]]


@exactly
class EvaluateResult(TypedDict):
    """How well an autoencoder reconstructs; ``dead`` are the numbers of its dead units."""

    dead: list[Count]
    metrics: EvaluateMetrics


@exactly
class CorrelateResult(TypedDict):
    """How correlated the latent coordinates of an autoencoder are."""

    metrics: CorrelateMetrics


@exactly
class InterpolateResult(TypedDict):
    """A walk between two classes; the parameters are the pair, and spec and seed of the model."""

    pair: Annotated[list[Integer], Field(min_length=2, max_length=2)]
    parameters: dict[str, Integer | str]


@exactly
class MeasuredImages(TypedDict):
    """Measures of a set of images, a value for each judge or a single one; None if undefined."""

    kid: JudgedValues
    precision: JudgedValues
    recall: JudgedValues
    confidence: JudgedValues
    sharpness_distance: JudgedValues
    nearest_distance: JudgedValues


@exactly
class RealismResult(TypedDict):
    """How real the images of walks are, and sets of images to compare them with, by name."""

    latent_dim: Count
    seed: Count
    counts: dict[str, Count]
    images: dict[str, MeasuredImages]
    metrics: dict[str, Number | None]


@exactly
class GridResult(TypedDict):
    """The picture of all walks has no numbers."""


@exactly
class EncodeResult(TypedDict):
    """The latents of an autoencoder are in a file."""

    latent_dim: Count
    n_train: Count
    n_test: Count


@exactly
class ProbeControlsResult(TypedDict):
    """Accuracies of probes of pixels or components, and the share of the largest class."""

    linear_probe_accuracy: Number
    knn_accuracy: Number
    largest_class: Number


@exactly
class ProbeResult(TypedDict):
    """What latents hold; ``ablation`` has a rise of the loss for each unit."""

    ablation: list[Number]
    metrics: Annotated[JsonObject, AfterValidator(_describes(_measures("probe")))]


@exactly
class SimilarityResult(TypedDict):
    """Linear CKA of all pairs of models, a row for each and one for pixels."""

    images: Count
    cka: list[list[Number | None]]
    floor: Number | None


@exactly
class TraverseResult(TypedDict):
    """The units in a picture, those first whose ablation costs most."""

    units: list[Count]


@exactly
class LatentMapResult(TypedDict):
    """The maps are in a file: of how many images, and of which latent sizes."""

    latent_dims: list[Count]
    images: Count


@exactly
class OwnMeasureResult(TypedDict):
    """The value of a user's own measure by its name, None if it is not finite."""

    metrics: Annotated[dict[str, Number | None], Field(min_length=1, max_length=1)]


@exactly
class TransferResult(TypedDict):
    """A classifier on an encoder; ``confusion`` counts test images, a row for each true class."""

    spec: Scenario
    architecture: Spec
    image_shape: ImageShape
    dataset: str
    history: History
    classes: list[str]
    confusion: Annotated[list[list[Count]], Field(min_length=1), AfterValidator(_is_square)]
    metrics: TransferMetrics


@exactly
class CheckResult(TypedDict):
    """As ``models.theory.checks.Check``."""

    name: str
    statement: str
    largest_error: Number
    tolerance: Number
    holds: bool


@exactly
class CounterexampleResult(TypedDict):
    """As ``models.theory.counterexamples.Counterexample``."""

    name: str
    claim: str
    correction: str
    numbers: dict[str, Number]


@exactly
class TheoryResult(TypedDict):
    """The written exercises, checked."""

    parameters: dict[str, Integer]
    metrics: dict[str, Number]
    checks: list[CheckResult]
    counterexamples: list[CounterexampleResult]


RESULTS: dict[str, Any] = {
    "data": DataResult,
    "pca": PcaResult,
    "reach": ReachResult,
    "train": TrainResult,
    "evaluate": EvaluateResult,
    "correlate": CorrelateResult,
    "interpolate": InterpolateResult,
    "interpolation_grid": GridResult,
    "realism": RealismResult,
    "encode": EncodeResult,
    "probe_controls": ProbeControlsResult,
    "probe": ProbeResult,
    "similarity": SimilarityResult,
    "traverse": TraverseResult,
    "latent_map": LatentMapResult,
    "own_measure": OwnMeasureResult,
    "transfer": TransferResult,
    "theory": TheoryResult,
}


@cache
def _adapter(task: str) -> TypeAdapter[Any]:
    return TypeAdapter(RESULTS[task])


def check_result(task: str, result: JsonObject) -> None:
    """Raise ValueError unless a result is one of this task. There are none of unknown tasks."""
    if task not in RESULTS:
        raise ValueError(f"no results of {task!r} are taken from others")
    _adapter(task).validate_python(result)
