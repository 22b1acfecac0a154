"""The configuration of a study: one typed, validated value."""

import unicodedata
from collections.abc import Sequence
from itertools import islice, pairwise
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from models.specs import (
    ConfigError,
    Depth,
    LabelBudget,
    LatentActivation,
    LatentDim,
    LearningRate,
    ModelSpec,
    Scenario,
    Seed,
    TrainingOptions,
    TrainingRecipe,
    TransferOptions,
    Value,
)
from tasks.analysis import published_results
from tasks.datasets.config import DatasetConfig
from tasks.datasets.found_files import listed
from tasks.system.folders import STUDY_NAME
from tasks.system.hardware import Device, default_width, has_gpu, usable_cores
from tasks.verdicts.claim_kinds import Margins

Section = Literal[
    "latent_sweep", "depth_sweep", "interpolation", "decorrelation", "transfer", "theory"
]
SECTIONS: tuple[Section, ...] = get_args(Section)
GPU_STACK = 64  # so many small models fill a GPU
LARGEST_STUDY = 100_000  # models, classifiers and walks; the plan of more takes minutes


class TrainingConfig(TrainingOptions):
    """How every autoencoder of the study is trained."""

    latent_activation: LatentActivation = Field(
        "relu", description="Activation of the latent layer."
    )


ClassName = Annotated[int, Field(ge=0, le=999_999)] | Annotated[str, Field(max_length=255)]
ClassPair = Annotated[tuple[ClassName, ClassName], Field(strict=False)]


class InterpolationConfig(Value):
    """Images decoded along the straight line between the latent vectors of two images."""

    pairs: tuple[ClassPair, ...] | None = Field(
        None,
        strict=False,
        description="Pairs of classes to interpolate between, by name, like [[cat, dog]] or "
        "[[3, 5]]; a number counts from 0 where no class is named by a number. null: the pairs of "
        "the written study, or four pairs of neighbouring classes if the dataset lacks one of "
        "those classes. An empty list leaves the section out.",
    )
    latent_dims: tuple[LatentDim, ...] = Field(
        (20, 100), strict=False, description="Latent sizes to compare, at depth 2."
    )
    steps: int = Field(11, ge=3, le=100, description="Images on a line, both ends included.")
    judges: int = Field(
        3,
        ge=1,
        le=10,
        description="Classifiers that judge how real the images are, each with a seed of its own.",
    )

    def label_pairs(
        self, classes: Sequence[str], tested: Sequence[int]
    ) -> tuple[tuple[int, int], ...]:
        """The pairs of labels to interpolate between in a dataset with these classes.

        ``tested`` are the labels, sorted, of which there are images for training and testing.

        Raises ConfigError for a class that the dataset lacks.
        """
        wanted = published_results.PAIRS if self.pairs is None else self.pairs
        try:
            labels = [[_label(name, classes, tested) for name in pair] for pair in wanted]
            pairs = tuple((start, end) for start, end in labels)
        except ConfigError:
            if self.pairs is not None:
                raise
            return tuple(islice(pairwise(tested), len(published_results.PAIRS)))
        for index, (start, end) in enumerate(pairs):
            if start == end or (start, end) in pairs[:index]:
                raise ConfigError(
                    f"interpolation.pairs: {list(wanted[index])} names one class twice, or a pair "
                    "that is listed before it; list each pair of two classes once"
                )
        return pairs


def _label(name: int | str, classes: Sequence[str], tested: Sequence[int]) -> int:
    """The label of a class. Raises ConfigError if there is none, or no image to test it on."""
    as_text = unicodedata.normalize("NFC", str(name))  # as names of classes are
    by_name = [label for label, one in enumerate(classes) if one == as_text]
    numbers = {label: int(one) for label, one in enumerate(classes) if one.isdecimal()}
    by_number = [label for label, number in numbers.items() if number == name]
    by_place = [name] if isinstance(name, int) and not numbers and name < len(classes) else []
    found = by_name or by_number or by_place
    if not found:
        raise ConfigError(
            f"interpolation.pairs: the dataset has no class {name!r}; choose from {listed(classes)}"
        )
    if len(found) > 1:
        raise ConfigError(
            f"interpolation.pairs: {name} may mean {listed(classes[label] for label in found)}; "
            "write it as the name of one"
        )
    if found[0] not in tested:
        raise ConfigError(
            f"interpolation.pairs: class {name!r} has no images in one part of the dataset; choose "
            f"from {listed(classes[label] for label in tested)}"
        )
    return found[0]


class TransferConfig(TransferOptions):
    """Classifiers that use the encoder of an autoencoder."""

    scenarios: tuple[Scenario, ...] = Field(
        ("head_only", "fine_tune", "from_scratch", "as_reported", "ablation"),
        strict=False,
        description="`head_only` trains the head on a frozen encoder; `fine_tune` trains both; "
        "`from_scratch` trains both from new weights; `as_reported` trains as the written study "
        "may have, which names no optimizer, learning rate, batch size or epochs; `ablation` "
        "varies its mistake and the inferred choices. An empty list leaves the section out.",
    )
    label_budgets: tuple[LabelBudget, ...] = Field(
        (100, 1000, "all"),
        strict=False,
        min_length=1,
        description="Numbers of labelled images to train on; all images if there are fewer.",
    )
    reported_epochs: int = Field(
        2,
        ge=1,
        le=10_000,
        description="Epochs of `as_reported` and `ablation`, or more to reach `minimum_updates`; "
        "longer training slowly gets better than chance.",
    )
    ablation_learning_rates: tuple[LearningRate, ...] = Field(
        (1e-4, 1e-3, 1e-2, 1e-1),
        strict=False,
        min_length=1,
        description="Learning rates of `ablation`, each with every output, optimizer and trained "
        "part; shuffled labels have the rate of `as_reported` only.",
    )
    depth: Depth = Field(3, description="Number of convolution layers in the encoder.")
    latent_dim: LatentDim = Field(20, description="Latent size of the encoder.")
    latent_dims: tuple[LatentDim, ...] | None = Field(
        None,
        strict=False,
        description="Latent sizes at depth 2 that `head_only` compares; null: those of the study.",
    )


class RunnerConfig(Value):
    """Where tasks are computed. It changes results by rounding only, so it is in no cache key."""

    kind: Literal["local", "dask"] = Field(
        "local",
        description="`local`: processes on this machine; `dask`: workers of a Dask cluster.",
    )
    address: str | None = Field(
        None,
        pattern=r"^(tcp|tls|ws|wss)://([^@:/\s]+|\[[0-9a-f:]+\]):[1-9]\d{0,4}$",
        description="Address of the Dask scheduler, for example tcp://10.0.0.1:8786.",
    )
    width: int | None = Field(
        None,
        ge=1,
        le=256,
        description="Tasks at once on this machine; null: one per core, at most 4.",
    )
    threads: int | None = Field(
        None, ge=1, le=256, description="Threads per task; null: cores / width, and 1 on Dask."
    )
    device: Device = Field(
        "auto", description="Where models are trained; `auto`: on the GPU if there is one."
    )
    stack: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="How many models that differ only in their seed are trained together; null: 64 "
        "on a GPU, 1 on a CPU. On Dask it is always 1.",
    )

    @model_validator(mode="after")
    def _address_if_dask(self) -> Self:
        if (self.kind == "dask") != (self.address is not None):
            raise ValueError(
                f"runner.kind: {self.kind!r} with runner.address: {self.address!r}; "
                "dask needs the address of a scheduler, local takes none"
            )
        return self

    @property
    def tasks_at_once(self) -> int:
        """The width; by default from the number of cores."""
        return self.width or default_width()

    @property
    def threads_per_task(self) -> int:
        """The threads; by default from the number of cores."""
        default = 1 if self.kind == "dask" else max(1, usable_cores() // self.tasks_at_once)
        return self.threads or default

    @property
    def stack_size(self) -> int:
        """The size of a stack of seeds; by default from the device."""
        if self.kind == "dask":
            return 1  # each model is trained by any free worker
        on_gpu = self.device == "cuda" or (self.device == "auto" and has_gpu())
        return self.stack or (GPU_STACK if on_gpu else 1)


class StudyConfig(Value):
    """A whole study. A section whose list is empty is left out."""

    name: str = Field(
        pattern=STUDY_NAME,
        description="Letters, digits, '.', '_', '-'; names the MLflow experiment and the report.",
    )
    dataset: DatasetConfig = Field(
        DatasetConfig(), description="The images that every model is trained and tested on."
    )
    latent_dims: tuple[LatentDim, ...] = Field(
        (1, 5, 10, 20, 50, 100), strict=False, description="Latent sizes to compare, at depth 2."
    )
    depths: tuple[Depth, ...] = Field(
        (1, 2, 3), strict=False, description="Numbers of convolution layers to compare."
    )
    depth_latent_dim: LatentDim = Field(20, description="Latent size at which depths are compared.")
    seeds: tuple[Seed, ...] = Field(
        (0,),
        strict=False,
        min_length=1,
        description="Every model is trained once per seed; verdicts need several.",
    )
    training: TrainingConfig = Field(
        TrainingConfig(), description="How every autoencoder is trained."
    )
    interpolation: InterpolationConfig = Field(
        InterpolationConfig(), description="Lines between latent vectors, decoded to images."
    )
    transfer: TransferConfig = Field(
        TransferConfig(), description="Classifiers that use the encoder of an autoencoder."
    )
    margins: Margins = Field(
        Margins(),
        description="The smallest changes that matter to verdicts; nothing else depends on them.",
    )
    runner: RunnerConfig = Field(RunnerConfig(), description="Where tasks are computed.")
    versions_in_key: bool = Field(
        False,
        description="Whether torch's release (2.15 of 2.15.1) is in every key, so that another "
        "release computes everything again; plan and report name mixed releases either way.",
    )

    @model_validator(mode="after")
    def _no_repetitions(self) -> Self:
        lists = {
            "latent_dims": self.latent_dims,
            "depths": self.depths,
            "seeds": self.seeds,
            "interpolation.pairs": self.interpolation.pairs or (),
            "interpolation.latent_dims": self.interpolation.latent_dims,
            "transfer.scenarios": self.transfer.scenarios,
            "transfer.label_budgets": self.transfer.label_budgets,
            "transfer.latent_dims": self.transfer.latent_dims or (),
            "transfer.ablation_learning_rates": self.transfer.ablation_learning_rates,
        }
        for key, values in lists.items():
            for index, value in enumerate(values):
                if value in values[:index]:
                    raise ValueError(f"{key}: {value!r} is listed twice; list each value once")
        return self

    @model_validator(mode="after")
    def _not_too_large(self) -> Self:
        models = {*self.latent_sweep, *self.depth_sweep, *self.interpolation_models}
        pairs = self.interpolation.pairs or published_results.PAIRS
        parts = {
            "models": len(models),
            "classifiers": len(self.transfer.scenarios) * len(self.transfer.label_budgets)
            + len(self.frozen_encoder_models) * ("head_only" in self.transfer.scenarios)
            + 8  # outputs, optimizers and trained parts
            * len(self.transfer.ablation_learning_rates)
            * ("ablation" in self.transfer.scenarios),
            "walks between images": len(pairs) * len(self.interpolation_models),
        }
        if len(self.seeds) * sum(parts.values()) > LARGEST_STUDY:
            listed = ", ".join(f"{number:,} {part}" for part, number in parts.items())
            raise ValueError(
                f"seeds: each of {len(self.seeds):,} stands for {listed}, together more than "
                f"{LARGEST_STUDY:,}; list fewer seeds, latent sizes or pairs"
            )
        return self

    def recipe(self, seed: int) -> TrainingRecipe:
        """The recipe of every autoencoder with this seed."""
        return TrainingRecipe(**self.training.model_dump(exclude={"latent_activation"}), seed=seed)

    def reported_recipe(self, seed: int) -> TrainingRecipe:
        """How the written study may have trained the encoder whose transfer failed.

        It names no optimizer, learning rate, batch size or epochs.
        """
        return self.recipe(seed).model_copy(update=published_results.TRAINING)

    def _spec(self, depth: int, latent_dim: int) -> ModelSpec:
        activation = self.training.latent_activation
        return ModelSpec.written(depth, latent_dim=latent_dim, latent_activation=activation)

    @property
    def latent_sweep(self) -> list[ModelSpec]:
        """Depth 2 at every latent size."""
        return [self._spec(published_results.SWEEP_DEPTH, size) for size in self.latent_dims]

    @property
    def depth_sweep(self) -> list[ModelSpec]:
        """Every depth at one latent size."""
        return [self._spec(depth, self.depth_latent_dim) for depth in self.depths]

    @property
    def all_depths(self) -> tuple[int, ...]:
        """The depths of all autoencoders of the study."""
        return tuple(sorted({published_results.SWEEP_DEPTH, self.transfer.depth, *self.depths}))

    @property
    def interpolation_models(self) -> list[ModelSpec]:
        """Depth 2 at the latent sizes of the interpolation; none if the list of pairs is empty."""
        sizes = () if self.interpolation.pairs == () else self.interpolation.latent_dims
        return [self._spec(published_results.SWEEP_DEPTH, size) for size in sizes]

    @property
    def frozen_encoder_models(self) -> list[ModelSpec]:
        """Depth 2 at the latent sizes whose frozen encoders ``head_only`` compares."""
        chosen = self.transfer.latent_dims
        sizes = self.latent_dims if chosen is None else chosen
        return [self._spec(published_results.SWEEP_DEPTH, size) for size in sizes]

    @property
    def transfer_model(self) -> ModelSpec:
        """The autoencoder whose encoder is transferred."""
        return self._spec(self.transfer.depth, self.transfer.latent_dim)
