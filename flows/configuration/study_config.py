"""The configuration of a study: one typed, validated value."""

from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from flows.configuration.interpolation_config import InterpolationConfig
from flows.configuration.networks_config import (
    SHIPPED_OBJECTIVES,
    ArchitectureConfig,
    ObjectiveConfig,
    ShortName,
    Variant,
    latent_outputs,
)
from flows.configuration.representation_config import (
    MeasureConfig,
    RepresentationConfig,
    check_measure_name,
)
from flows.configuration.runner_config import RunnerConfig
from flows.configuration.transfer_config import TransferConfig
from models.specs import (
    Architecture,
    Depth,
    LatentActivation,
    LatentDim,
    ModelSpec,
    ObjectiveSpec,
    Seed,
    TrainingOptions,
    TrainingRecipe,
    Value,
)
from tasks.analysis import published_results
from tasks.datasets.config import DatasetConfig
from tasks.system.folders import STUDY_NAME
from tasks.verdicts.claim import (
    WRITTEN_STUDY,
    Claim,
    Margins,
    WrittenStudy,
    with_shipped,
    without_shipped,
)

Section = Literal[
    "latent_sweep",
    "depth_sweep",
    "objective_sweep",
    "interpolation",
    "decorrelation",
    "representation",
    "transfer",
    "theory",
]
SECTIONS: tuple[Section, ...] = get_args(Section)
LARGEST_STUDY = 100_000  # models, classifiers and walks; the plan of more takes minutes
OWN_SCENARIOS = ("head_only", "fine_tune", "from_scratch")  # that repeat no mistake of a study


Claims = Annotated[
    tuple[Claim, ...],
    BeforeValidator(
        with_shipped,
        json_schema_input_type=WrittenStudy | tuple[WrittenStudy | Claim, ...],
    ),
    PlainSerializer(without_shipped, when_used="always"),
]


class TrainingConfig(TrainingOptions):
    """How every autoencoder of the study is trained."""

    latent_activation: LatentActivation = Field(
        "relu",
        description="Activation of the latent layer; with `architectures` it is `linear` unless it "
        "is given.",
    )


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
        (1, 5, 10, 20, 50, 100),
        strict=False,
        description="Latent sizes to compare, at depth 2 or with `architecture`.",
    )
    depths: tuple[Depth, ...] = Field(
        (1, 2, 3),
        strict=False,
        description="Numbers of convolution layers to compare; none with `architectures` unless "
        "they are given.",
    )
    depth_latent_dim: LatentDim = Field(
        20,
        description="Latent size at which depths, architectures and objectives are compared; with "
        "`architectures` the middle one of `latent_dims` unless it is given.",
    )
    architectures: dict[ShortName, ArchitectureConfig] | None = Field(
        None,
        min_length=1,
        description="Networks to compare in place of depths, by name, like "
        "{small: {encoder: conv, decoder: conv, options: {width: 8}}}.",
    )
    architecture: str | None = Field(
        None,
        description="The one of `architectures` that latent sizes, walks and classifiers use; the "
        "first unless it is given.",
    )
    objectives: dict[ShortName, ObjectiveConfig] | None = Field(
        None,
        min_length=1,
        description="What to minimize, by name, to be compared, like {plain: {name: mse}, "
        "vae4: {name: vae, beta: 4}}; null: the mean squared error alone.",
    )
    objective: str | None = Field(
        None,
        description="The one of `objectives` that all other models are trained with; the first "
        "unless it is given.",
    )
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
    representation: RepresentationConfig = Field(
        RepresentationConfig(), description="Probes, maps and other measures of latents."
    )
    measures: dict[ShortName, MeasureConfig] | None = Field(
        None,
        min_length=1,
        description="Measures of your own of every autoencoder of the section representation, by "
        "name, like {smoothness: my_measures.py:smoothness}.",
    )
    transfer: TransferConfig = Field(
        TransferConfig(), description="Classifiers that use the encoder of an autoencoder."
    )
    claims: Claims = Field(
        WRITTEN_STUDY,
        validate_default=True,
        strict=False,
        description="What the study is to confirm or refute, a list like [{name: wider is better, "
        "quantity: test_loss, along: architecture, order: [small, wide], expect: decreasing}]; "
        "`written-study` stands for the claims of the written study, also in a list.",
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

    @model_validator(mode="before")
    @classmethod
    def _defaults_with_architectures(cls, content: Any) -> Any:
        """Other defaults for a study of other networks than the written study's."""
        if not isinstance(content, dict) or not isinstance(content.get("architectures"), dict):
            return content
        sizes = content.get("latent_dims") or cls.model_fields["latent_dims"].default
        found: dict[str, Any] = {"depths": [], "architecture": _first(content["architectures"])}
        found |= content
        if isinstance(sizes, list | tuple) and sizes:
            found.setdefault("depth_latent_dim", sizes[len(sizes) // 2])
        middle = found.get("depth_latent_dim")
        defaults: dict[str, dict[str, object]] = {
            "training": {"latent_activation": "linear", "latent_bias": None},
            "interpolation": {"latent_dims": sizes},
            "transfer": {"scenarios": OWN_SCENARIOS, "depth": None, "latent_dim": middle},
        }
        for key, values in defaults.items():
            given = found.get(key) or {}
            if isinstance(given, dict):
                found[key] = values | given
        return found

    @model_validator(mode="before")
    @classmethod
    def _first_objective(cls, content: Any) -> Any:
        if not isinstance(content, dict) or not isinstance(content.get("objectives"), dict):
            return content
        return {"objective": _first(content["objectives"])} | content

    @model_validator(mode="after")
    def _named_ones_exist(self) -> Self:
        for key, known in (("architecture", self.architectures), ("objective", self.objectives)):
            chosen, names = getattr(self, key), list(known or {})
            if chosen is not None and chosen not in names:
                hint = f"choose one of {', '.join(names)}" if names else f"there are no {key}s"
                raise ValueError(f"{key}: there is no {chosen!r}; {hint}")
        for name, one in (self.objectives or {}).items():
            if name in SHIPPED_OBJECTIVES and one.name != name:
                raise ValueError(
                    f"objectives.{name}: {one.name} has the name of another objective; choose one "
                    f"like my-{name}"
                )
        for name in self.measures or {}:
            check_measure_name(name)
        names = list(self.architectures or {})
        if (self.transfer.depth is None) != bool(names):
            raise ValueError(
                f"transfer.depth is {self.transfer.depth!r}: it is for studies of depths, and null "
                "for studies with architectures, where `architecture` is used"
            )
        return self

    @model_validator(mode="after")
    def _early_stopping_has_validation(self) -> Self:
        if self.training.early_stopping is not None and self.dataset.validation is None:
            raise ValueError(
                "training.early_stopping needs images for validation; set dataset.validation, "
                "like 0.1"
            )
        return self

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
        pairs = self.interpolation.pairs or published_results.PAIRS
        frozen = self.transfer.latent_dims
        n_frozen = len(self.latent_dims if frozen is None else frozen)
        parts = {
            "models": len(self._models),
            "classifiers": len(self.transfer.scenarios) * len(self.transfer.label_budgets)
            + n_frozen * ("head_only" in self.transfer.scenarios)
            + 8  # outputs, optimizers and trained parts
            * len(self.transfer.ablation_learning_rates)
            * ("ablation" in self.transfer.scenarios),
            "walks between images": len(pairs) * len(self.interpolation.latent_dims),
        }
        if len(self.seeds) * sum(parts.values()) > LARGEST_STUDY:
            listed = ", ".join(f"{number:,} {part}" for part, number in parts.items())
            raise ValueError(
                f"seeds: each of {len(self.seeds):,} stands for {listed}, together more than "
                f"{LARGEST_STUDY:,}; list fewer seeds, latent sizes or pairs"
            )
        return self

    @property
    def _models(self) -> set[tuple[object, int, str | None]]:
        """Architecture, latent size and objective of every autoencoder, by name or depth."""
        main, size = self.architecture or published_results.SWEEP_DEPTH, self.depth_latent_dim
        walks = () if self.interpolation.pairs == () else self.interpolation.latent_dims
        return {
            *((main, one, self.objective) for one in (*self.latent_dims, *walks)),
            *((one, size, self.objective) for one in (*self.depths, *(self.architectures or {}))),
            *((main, size, name) for name in self.objectives or {}),
        }

    def recipe(self, seed: int) -> TrainingRecipe:
        """The recipe of every autoencoder with this seed."""
        return TrainingRecipe(**self.training.model_dump(exclude={"latent_activation"}), seed=seed)

    def reported_recipe(self, seed: int) -> TrainingRecipe:
        """How the written study may have trained the encoder whose transfer failed.

        It names no optimizer, learning rate, batch size or epochs.
        """
        return self.recipe(seed).model_copy(update=published_results.TRAINING)

    def _variant(self, latent_dim: int, depth: int | None, objective: str | None = None) -> Variant:
        """The variant with the study's architecture, or with a depth if it has none."""
        if self.architecture is not None:
            return self._of_architecture(self.architecture, latent_dim, objective)
        assert depth is not None
        return self._of_depth(depth, latent_dim, objective)

    def _of_architecture(self, name: str, latent_dim: int, objective: str | None = None) -> Variant:
        assert self.architectures is not None
        return self._of(self.architectures[name].value(), latent_dim, name, objective)

    def _of_depth(self, depth: int, latent_dim: int, objective: str | None = None) -> Variant:
        architecture = Architecture(options={"depth": depth})
        return self._of(architecture, latent_dim, None, objective)

    def _of(
        self, architecture: Architecture, latent_dim: int, name: str | None, objective: str | None
    ) -> Variant:
        """The variant with these networks and an objective, by default the study's."""
        chosen = objective or self.objective
        minimized = (self.objectives or {})[chosen].value() if chosen else ObjectiveSpec()
        spec = ModelSpec(
            architecture=architecture,
            latent_dim=latent_dim,
            latent_activation=self.training.latent_activation,
            latent_outputs=latent_outputs(minimized),
        )
        return Variant(spec, name, minimized, chosen)

    @property
    def latent_sweep(self) -> list[Variant]:
        """The study's architecture, or depth 2, at every latent size."""
        return [self._variant(size, published_results.SWEEP_DEPTH) for size in self.latent_dims]

    @property
    def depth_sweep(self) -> list[Variant]:
        """Every depth at one latent size."""
        return [self._of_depth(depth, self.depth_latent_dim) for depth in self.depths]

    @property
    def architecture_sweep(self) -> list[Variant]:
        """Every depth and every architecture at one latent size."""
        size = self.depth_latent_dim
        own = [self._of_architecture(name, size) for name in self.architectures or {}]
        return [*self.depth_sweep, *own]

    @property
    def objective_sweep(self) -> list[Variant]:
        """The study's architecture, or depth 2, with every objective at one latent size."""
        size, depth = self.depth_latent_dim, published_results.SWEEP_DEPTH
        return [self._variant(size, depth, name) for name in self.objectives or {}]

    @property
    def representation_models(self) -> list[Variant]:
        """The autoencoders whose latents are measured: those of all three sweeps, each once."""
        swept = [*self.latent_sweep, *self.architecture_sweep, *self.objective_sweep]
        return list(dict.fromkeys(swept))

    @property
    def mapped_models(self) -> list[Variant]:
        """Those of them whose latents are drawn on maps: at most two latent sizes of the sweep."""
        swept = self.latent_sweep or self.representation_models[:1]
        return list(dict.fromkeys([swept[(len(swept) - 1) // 2], swept[-1]])) if swept else []

    @property
    def all_architectures(self) -> tuple[Architecture, ...]:
        """The architectures of all autoencoders of the study, each once."""
        main = self._variant(self.depth_latent_dim, published_results.SWEEP_DEPTH)
        used = [main, self.transfer_model, *self.architecture_sweep]
        found = {one.spec.architecture for one in used}
        return tuple(sorted(found, key=lambda one: (one.depth or 0, one.model_dump_json())))

    @property
    def interpolation_models(self) -> list[Variant]:
        """As the latent sweep at the latent sizes of the interpolation.

        There are none if the list of pairs is empty.
        """
        sizes = () if self.interpolation.pairs == () else self.interpolation.latent_dims
        return [self._variant(size, published_results.SWEEP_DEPTH) for size in sizes]

    @property
    def frozen_encoder_models(self) -> list[Variant]:
        """As the latent sweep at the latent sizes whose frozen encoders ``head_only`` compares."""
        chosen = self.transfer.latent_dims
        sizes = self.latent_dims if chosen is None else chosen
        return [self._variant(size, published_results.SWEEP_DEPTH) for size in sizes]

    @property
    def transfer_model(self) -> Variant:
        """The autoencoder whose encoder is transferred."""
        return self._variant(self.transfer.latent_dim, self.transfer.depth)


def _first(named: dict[object, object]) -> str | None:
    """The first name of a mapping; None if it is no text, which is said of the mapping."""
    name = next(iter(named), None)
    return name if isinstance(name, str) else None
