"""The study configuration: one typed, validated value, read from YAML and ``--set`` overrides."""

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from models.specs import (
    ConfigError,
    Depth,
    LabelBudget,
    LatentActivation,
    LatentDim,
    ModelSpec,
    Scenario,
    Seed,
    Trained,
    TrainingOptions,
    TrainingRecipe,
    TransferOptions,
    TransferSpec,
    Value,
)
from tasks.dataset_config import DatasetConfig
from tasks.machine import Device, default_width, has_gpu, usable_cores

SHIPPED = Path(__file__).parent / "studies"
Section = Literal["latent_sweep", "depth_sweep", "interpolation", "decorrelation", "transfer"]
SECTIONS: tuple[Section, ...] = (
    "latent_sweep",
    "depth_sweep",
    "interpolation",
    "decorrelation",
    "transfer",
)
GPU_STACK = 64  # small models that fill a GPU together
SWEEP_DEPTH = 2  # the written study varies the latent size at two convolution layers
REPORTED_TRAINING = {
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "schedule": "constant",
    "latent_bias": None,
}
UPDATED_PART: dict[Scenario, tuple[Trained, ...]] = {
    "head_only": ("head",),
    "fine_tune": ("head_and_encoder",),
    "from_scratch": ("head_and_encoder",),
    "as_reported": ("head", "head_and_encoder"),
}


class _Loader(yaml.SafeLoader):
    """YAML that reads 1e-3 as a number, as YAML 1.2 does."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


class TrainingConfig(TrainingOptions):
    """How every autoencoder of the study is trained."""

    latent_activation: LatentActivation = Field("relu", description="Activation on the latent.")


Label = Annotated[int, Field(ge=0, le=999)]
LabelPair = Annotated[tuple[Label, Label], Field(strict=False)]


class InterpolationConfig(Value):
    """Walks on the straight line between the latent vectors of two images."""

    pairs: tuple[LabelPair, ...] = Field(
        ((3, 5), (5, 8), (0, 4), (2, 9)),
        strict=False,
        description="Labels to walk between; empty leaves the section out.",
    )
    latent_dims: tuple[LatentDim, ...] = Field(
        (20, 100), strict=False, description="Latent sizes to compare."
    )
    steps: int = Field(11, ge=2, le=100, description="Images per walk, both ends included.")


class TransferConfig(TransferOptions):
    """Classifiers on top of the encoder."""

    scenarios: tuple[Scenario, ...] = Field(
        ("head_only", "fine_tune", "from_scratch", "as_reported"),
        strict=False,
        description="What is trained from what; empty leaves the section out.",
    )
    label_budgets: tuple[LabelBudget, ...] = Field(
        (100, 1000, "all"), strict=False, min_length=1, description="Labelled images to train on."
    )
    reported_epochs: int = Field(
        2, ge=1, le=10_000, description="Epochs of `as_reported`; longer training slowly escapes."
    )
    depth: Depth = Field(3, description="Depth of the encoder.")
    latent_dim: LatentDim = Field(20, description="Latent size of the encoder.")


class RunnerConfig(Value):
    """Where the computing runs; changes no result beyond rounding, so it is in no cache key."""

    width: int | None = Field(
        None, ge=1, le=256, description="Tasks side by side; null: one per core, at most 4."
    )
    threads: int | None = Field(
        None, ge=1, le=256, description="Threads per task; null: cores / width."
    )
    device: Device = Field(
        "auto", description="Where models are trained; auto: on the GPU if there is one."
    )
    stack: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="Models that differ in their seed only and train as one; null: 64 on a GPU, "
        "1 on a CPU.",
    )

    @property
    def tasks_at_once(self) -> int:
        """The width, by the machine's cores if it is left open."""
        return self.width or default_width()

    @property
    def threads_per_task(self) -> int:
        """The threads, by the machine's cores if they are left open."""
        return self.threads or max(1, usable_cores() // self.tasks_at_once)

    @property
    def models_at_once(self) -> int:
        """The size of a stack, by the device if it is left open."""
        on_gpu = self.device == "cuda" or (self.device == "auto" and has_gpu())
        return self.stack or (GPU_STACK if on_gpu else 1)


class StudyConfig(Value):
    """A whole study. An empty list leaves its section out."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="Letters, digits, '.', '_', '-'; names the MLflow experiment and the report.",
    )
    dataset: DatasetConfig = DatasetConfig()
    latent_dims: tuple[LatentDim, ...] = Field(
        (1, 5, 10, 20, 50, 100), strict=False, description="Latent sizes at depth 2."
    )
    depths: tuple[Depth, ...] = Field((1, 2, 3), strict=False, description="Depths to compare.")
    depth_latent_dim: LatentDim = Field(20, description="Latent size of the depth comparison.")
    seeds: tuple[Seed, ...] = Field(
        (0,), strict=False, min_length=1, description="Every model is trained once per seed."
    )
    training: TrainingConfig = TrainingConfig()
    interpolation: InterpolationConfig = InterpolationConfig()
    transfer: TransferConfig = TransferConfig()
    runner: RunnerConfig = RunnerConfig()

    @model_validator(mode="after")
    def _no_repetitions(self) -> Self:
        lists = {
            "latent_dims": self.latent_dims,
            "depths": self.depths,
            "seeds": self.seeds,
            "interpolation.pairs": self.interpolation.pairs,
            "interpolation.latent_dims": self.interpolation.latent_dims,
            "transfer.scenarios": self.transfer.scenarios,
            "transfer.label_budgets": self.transfer.label_budgets,
        }
        for key, values in lists.items():
            for index, value in enumerate(values):
                if value in values[:index]:
                    raise ValueError(f"{key}: {value!r} is listed twice; list each value once")
        return self

    def recipe(self, seed: int) -> TrainingRecipe:
        """The recipe of every autoencoder with this seed."""
        return TrainingRecipe(**self.training.model_dump(exclude={"latent_activation"}), seed=seed)

    def reported_recipe(self, seed: int) -> TrainingRecipe:
        """How the written study trained the encoder whose transfer failed."""
        return self.recipe(seed).model_copy(update=REPORTED_TRAINING)

    def _spec(self, depth: int, latent_dim: int) -> ModelSpec:
        activation = self.training.latent_activation
        return ModelSpec(depth=depth, latent_dim=latent_dim, latent_activation=activation)

    @property
    def latent_sweep(self) -> list[ModelSpec]:
        """Depth 2 at every latent size."""
        return [self._spec(SWEEP_DEPTH, size) for size in self.latent_dims]

    @property
    def depth_sweep(self) -> list[ModelSpec]:
        """Every depth at one latent size."""
        return [self._spec(depth, self.depth_latent_dim) for depth in self.depths]

    @property
    def interpolated(self) -> list[ModelSpec]:
        """Depth 2 at the latent sizes of the interpolation, none without pairs."""
        sizes = self.interpolation.latent_dims if self.interpolation.pairs else ()
        return [self._spec(SWEEP_DEPTH, size) for size in sizes]

    @property
    def transfer_model(self) -> ModelSpec:
        """The autoencoder whose encoder is transferred."""
        return self._spec(self.transfer.depth, self.transfer.latent_dim)

    def transfers(self, seed: int) -> list[TransferSpec]:
        """Every scenario with every label budget."""
        options = self.transfer.model_dump(include=set(TransferOptions.model_fields))
        reported = self.transfer.reported_epochs
        return [
            TransferSpec(
                scenario=scenario,
                trained=part,
                label_budget=budget,
                seed=seed,
                **options | ({"epochs": reported} if scenario == "as_reported" else {}),
            )
            for scenario in self.transfer.scenarios
            for part in UPDATED_PART[scenario]
            for budget in self.transfer.label_budgets
        ]

    def models(self, sections: tuple[Section, ...]) -> list[ModelSpec]:
        """The autoencoders that these sections need, each once, the most awaited first."""
        wanted: list[ModelSpec] = []
        if "transfer" in sections and set(self.transfer.scenarios) - {"as_reported"}:
            wanted.append(self.transfer_model)
        if {"latent_sweep", "decorrelation"} & set(sections):
            wanted += self.latent_sweep
        if {"depth_sweep"} & set(sections):
            wanted += self.depth_sweep
        if "interpolation" in sections:
            wanted += self.interpolated
        return list(dict.fromkeys(wanted))


def shipped_studies() -> list[str]:
    """Names of the studies that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def load_config(study: str, overrides: list[str] | None = None) -> StudyConfig:
    """Read a shipped study or a YAML file, apply ``key=value`` overrides, validate.

    Raises ConfigError with one line per mistake: key, value, allowed range.
    """
    path = SHIPPED / f"{study}.yaml"
    if study not in shipped_studies():
        path = Path(study)
        if path.suffix not in {".yaml", ".yml"}:
            near = difflib.get_close_matches(study, shipped_studies(), n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ConfigError(
                f"no study named {study!r}; {hint}choose one of {', '.join(shipped_studies())} "
                "or give the path of a YAML file"
            )
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the study file {path}: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold keys and values, not {type(content).__name__}")
    content.setdefault("name", path.stem)
    for override in overrides or []:
        _override(content, override)
    try:
        return StudyConfig.model_validate(content)
    except ValidationError as error:
        lines = dict.fromkeys(_explain(item) for item in _first_of_each_key(error.errors()))
        raise ConfigError("\n".join(lines)) from None


def _override(content: dict[str, Any], override: str) -> None:
    """Set one dotted key, its value read as YAML."""
    key, equals, text = override.partition("=")
    if not equals or not all(key.split(".")):
        raise ConfigError(f"--set {override!r}: expected key=value, like training.epochs=2")
    try:
        value = yaml.load(text, _Loader)
    except yaml.YAMLError:
        raise ConfigError(f"--set {override!r}: {text!r} is not a YAML value") from None
    *parents, last = key.split(".")
    for parent in parents:
        content = content.setdefault(parent, {})
        if not isinstance(content, dict):
            raise ConfigError(f"--set {override!r}: {parent!r} holds a value, not keys")
    content[last] = value


def _known_keys(location: tuple[Any, ...]) -> list[str]:
    """The keys that are allowed where an unknown key was found."""
    model: Any = StudyConfig
    for part in location:
        model = model.model_fields[part].annotation
    return list(model.model_fields)


def _key_of(error: Any) -> str:
    """The dotted key of an error, without the names that pydantic gives to types."""
    parts = [part for part in error["loc"] if isinstance(part, int) or part.isidentifier()]
    return ".".join(str(part) for part in parts)


def _first_of_each_key(errors: list[Any]) -> list[Any]:
    """One error per mistake: what lies inside a wrong value, or follows from it, is left out."""
    kept: list[Any] = []
    for error in sorted(errors, key=lambda error: error["type"] == "too_short"):
        key = _key_of(error)
        if not any(key == _key_of(other) for other in kept) and not (
            error["type"] == "too_short" and any(_key_of(o).startswith(key) for o in kept)
        ):
            kept.append(error)
    return kept


PLAIN_WORDS = {
    "tuple_type": "should be a list, like [1, 2]",
    "model_type": "should hold keys and values",
    "model_attributes_type": "should hold keys and values",
    "missing": "should be a pair, like [3, 5]",
}


def _explain(error: Any) -> str:
    """One line for one of pydantic's errors: key, value, allowed range."""
    location, key = error["loc"], _key_of(error)
    if error["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"{key}: unknown key; {hint}allowed here: {', '.join(known)}"
    message = error["msg"].removeprefix("Value error, ")
    if not key:
        return message
    message = PLAIN_WORDS.get(error["type"], message[0].lower() + message[1:])
    if key.startswith("transfer.label_budgets."):
        message += ", or 'all'"
    if key == "name":
        message = "should be " + str(StudyConfig.model_fields["name"].description).lower()
    return f"{key}: {error['input']!r} is not allowed: {message}"
