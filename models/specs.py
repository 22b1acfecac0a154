"""What to build and how to train it: frozen, validated values with one canonical JSON form."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

LatentActivation = Literal["relu", "linear"]
LearningRate = Annotated[float, Field(gt=0, le=1e9)]
Depth = Annotated[int, Field(ge=1, le=3)]
LatentDim = Annotated[int, Field(ge=1, le=65_536)]
ImageShape = tuple[int, int, int]  # channels, height, width
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Scenario = Literal["head_only", "fine_tune", "from_scratch", "as_reported", "ablation"]
LabelBudget = Annotated[int, Field(ge=1)] | Literal["all"]
Trained = Literal["head", "head_and_encoder"]
Output = Literal["logits", "softmax"]
UpdateRule = Literal["adam", "sgd"]
Labels = Literal["aligned", "shuffled"]
Precision = Literal["float32", "bf16"]


def largest_budget(budgets: Sequence[LabelBudget]) -> LabelBudget:
    """The largest label budget; "all" is larger than any number."""
    return max(budgets, key=lambda n: math.inf if n == "all" else n)


def distinct_budgets(budgets: Sequence[LabelBudget], n_train: int | None) -> list[LabelBudget]:
    """The label budgets that differ with this many training images, None or 0 if not known.

    One of all images or more is "all".
    """
    found = ["all" if n != "all" and n_train and n >= n_train else n for n in budgets]
    return list(dict.fromkeys(found))


def too_large_budgets(budgets: Sequence[LabelBudget], n_train: int) -> list[int]:
    """The label budgets that are more than all training images."""
    return [n for n in budgets if n != "all" and n > n_train]


class ConfigError(ValueError):
    """An unusable configuration; the message, of one line, says what to change."""


class SeveralConfigError(ConfigError):
    """Several mistakes, one a line."""


class Value(BaseModel):
    """A frozen value that refuses unknown keys and silent type changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def parameters(self) -> dict[str, Any]:
        """The fields as JSON data, by the names of parameters in MLflow."""
        return self.model_dump(mode="json")


WRITTEN = "written"  # the networks of the written study
WRITTEN_SHAPE: ImageShape = (1, 28, 28)


class Architecture(Value):
    """What builds the encoder and the decoder of an autoencoder.

    A builder is named like a module of ``models.networks``, or by the digest of a user's own code.
    """

    encoder: str = Field(WRITTEN, description="What builds the encoder.")
    decoder: str | None = Field(
        WRITTEN, description="What builds the decoder; null where only the encoder counts."
    )
    options: dict[str, JsonValue] = Field({}, description="Keyword arguments of both builders.")

    @model_validator(mode="after")
    def _depth_of_written(self) -> Self:
        parts = {self.encoder, self.decoder or self.encoder}
        if WRITTEN in parts and (parts != {WRITTEN} or [*self.options] != ["depth"]):
            raise ValueError(
                "the written study's networks come as a pair, with the option depth alone"
            )
        if WRITTEN in parts and self.options["depth"] not in {1, 2, 3}:
            raise ValueError(f"options.depth: {self.options['depth']!r} is not 1, 2 or 3")
        return self

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @property
    def depth(self) -> int | None:
        """The number of convolution layers of a network of the written study, else None."""
        return int(str(self.options["depth"])) if self.encoder == WRITTEN else None


class ModelSpec(Value):
    """One autoencoder: its architecture and its latent vector."""

    architecture: Architecture
    latent_dim: LatentDim = Field(20, description="Size of the latent vector.")
    latent_activation: LatentActivation = Field("relu", description="Activation on the latent.")
    latent_outputs: Literal[1, 2] = Field(
        1,
        description="Outputs of the encoder's network for each latent unit: 2 are a mean and the "
        "logarithm of a variance.",
    )

    @classmethod
    def written(cls, depth: int = 2, **values: Any) -> Self:
        """An autoencoder of the written study."""
        return cls(architecture=Architecture(options={"depth": depth}), **values)

    def parameters(self) -> dict[str, Any]:
        """As JSON data, with the depth or with the options of the networks."""
        found = self.model_dump(mode="json", exclude={"architecture", "latent_outputs"})
        if self.depth is not None:
            return {"depth": self.depth, **found}
        return found | {"network_options": self.architecture.options}

    @property
    def depth(self) -> int | None:
        """The number of convolution layers of a network of the written study, else None."""
        return self.architecture.depth

    def without_decoder(self) -> Self:
        """The same encoder; an edited decoder changes nothing of it."""
        encoder = self.architecture.model_copy(update={"decoder": None})
        return self.model_copy(update={"architecture": encoder})


class EarlyStopping(Value):
    """When a training ends before its last epoch, by its validation loss."""

    patience: int = Field(
        5, ge=1, le=10_000, description="Epochs without a better validation loss before the end."
    )
    least_change: float = Field(
        0.0, ge=0, le=1, description="A better loss is lower by more than this MSE per pixel."
    )


class TrainingOptions(Value):
    """How an autoencoder is trained, whatever its architecture and seed."""

    epochs: int = Field(5, ge=1, le=10_000, description="Passes over the training images.")
    batch_size: int = Field(128, ge=1, le=65_536, description="Images per update.")
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", description="Update rule.")
    learning_rate: LearningRate = Field(
        0.01, description="Step size; the peak of a one-cycle schedule."
    )
    schedule: Literal["constant", "cosine", "one_cycle"] = Field(
        "one_cycle", description="How the learning rate moves, once per update."
    )
    latent_bias: float | None = Field(
        1.0,
        ge=-100,
        le=100,
        description="Initial bias of the latent layer; null keeps torch's default.",
    )
    precision: Precision = Field(
        "float32",
        description="bf16 trains with products in bfloat16 (autocast); losses, weights and all "
        "evaluation stay float32.",
    )
    early_stopping: EarlyStopping | None = Field(
        None,
        description="Ends a training whose validation loss gets no better, and keeps the weights "
        "of the last epoch that was better by `least_change`; the schedule is that of all epochs. "
        "Needs `dataset.validation`.",
    )


class TrainingRecipe(TrainingOptions):
    """Everything that decides the weights besides the architecture and the data."""

    seed: Seed = Field(0, description="Seed of the initial weights and the shuffling.")


class ObjectiveSpec(Value):
    """What a training minimizes: an objective by name, or by the digest of a user's own code."""

    name: str = Field("mse", description="A shipped objective, or the digest of your own.")
    settings: dict[str, JsonValue] = Field({}, description="Its settings, as keyword arguments.")

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    def parameters(self) -> dict[str, Any]:
        """The settings by the names of parameters in MLflow, like ``objective_beta``."""
        return {f"objective_{name}": value for name, value in self.settings.items()}


class TransferOptions(Value):
    """How long every classifier is trained."""

    epochs: int = Field(5, ge=1, le=10_000, description="Passes over the labelled images.")
    minimum_updates: int = Field(
        480, ge=0, le=1_000_000, description="Small label budgets train at least this many updates."
    )
    batch_size: int = Field(128, ge=1, le=65_536, description="Images per update.")


class TransferSpec(TransferOptions):
    """One classifier on top of a trained (or new) encoder."""

    scenario: Scenario
    trained: Trained = Field(description="Which part the optimizer updates.")
    output: Output = Field(
        "logits", description="What the head gives to cross entropy, which applies softmax itself."
    )
    optimizer: UpdateRule = Field("adam", description="Update rule.")
    learning_rate: LearningRate = Field(1e-3, description="Constant step size.")
    label_budget: LabelBudget = Field("all", description="Labelled images to train on.")
    labels: Labels = Field(
        "aligned", description="Whether each training image keeps its label or gets another's."
    )
    seed: Seed = Field(0, description="Seed of the new weights, the labels drawn, the shuffling.")
