"""What a study trains: every autoencoder, and every classifier with the encoder it stands on."""

from itertools import product
from typing import Any, NamedTuple, get_args

from flows.configuration.study_config import Section, StudyConfig
from models.specs import (
    ModelSpec,
    Output,
    Scenario,
    Trained,
    TrainingRecipe,
    TransferOptions,
    TransferSpec,
    UpdateRule,
    largest_budget,
)
from tasks.analysis import published_results
from tasks.cache.identity import Identity

UPDATED_PART: dict[Scenario, tuple[Trained, ...]] = {
    "head_only": ("head",),
    "fine_tune": ("head_and_encoder",),
    "from_scratch": ("head_and_encoder",),
    "as_reported": ("head", "head_and_encoder"),
}


class AutoencoderTask(NamedTuple):
    """One autoencoder of a study."""

    spec: ModelSpec
    seed: int
    as_reported: bool = False

    @property
    def identity(self) -> Identity:
        """What distinguishes it from the other autoencoders of the study."""
        spec = self.spec
        found = {"depth": spec.depth, "latent_dim": spec.latent_dim, "seed": self.seed}
        return found | {"recipe": "as_reported"} if self.as_reported else found

    def recipe(self, config: StudyConfig) -> TrainingRecipe:
        """How it is trained."""
        return (config.reported_recipe if self.as_reported else config.recipe)(self.seed)


class ClassifierTask(NamedTuple):
    """One classifier of a study; without an encoder it starts from new weights."""

    spec: TransferSpec
    architecture: ModelSpec
    encoder: AutoencoderTask | None

    @property
    def identity(self) -> Identity:
        """What distinguishes it from the other classifiers of the study."""
        shape, spec = self.architecture, self.spec
        parts = ["scenario", "trained", "label_budget", "seed"]
        if spec.scenario == "ablation":
            parts += ["output", "optimizer"]
        found = {part: getattr(spec, part) for part in parts}
        return found | {"depth": shape.depth, "latent_dim": shape.latent_dim}


def autoencoders(
    config: StudyConfig, sections: tuple[Section, ...], classifiers: list[ClassifierTask]
) -> list[AutoencoderTask]:
    """The autoencoders that these sections and classifiers need, each once."""
    specs: list[ModelSpec] = []
    if {"latent_sweep", "decorrelation"} & set(sections):
        specs += config.latent_sweep
    if "depth_sweep" in sections:
        specs += config.depth_sweep
    if "interpolation" in sections:
        specs += config.interpolated
    wanted = [AutoencoderTask(spec, seed) for seed in config.seeds for spec in specs]
    wanted += [one.encoder for one in classifiers if one.encoder is not None]
    return list(dict.fromkeys(wanted))


def classifiers(config: StudyConfig, sections: tuple[Section, ...]) -> list[ClassifierTask]:
    """The classifiers that these sections need, each once."""
    wanted = [judge(config)] if "interpolation" in sections and config.interpolated else []
    if "transfer" in sections:
        for seed in config.seeds:
            wanted += _transfers(config, seed)
    return list(dict.fromkeys(wanted))


def judge(config: StudyConfig) -> ClassifierTask:
    """The classifier that measures how recognizable an image is: from scratch, with all labels."""
    choices = {"scenario": "from_scratch", "trained": "head_and_encoder", "label_budget": "all"}
    return _classifier(config, config.seeds[0], **choices)


def _transfers(config: StudyConfig, seed: int) -> list[ClassifierTask]:
    """Every scenario with every label budget; latent sizes and the ablation with the largest."""
    chosen = config.transfer
    wanted = [
        _classifier(config, seed, scenario=scenario, trained=part, label_budget=budget)
        for scenario in chosen.scenarios
        for part in UPDATED_PART.get(scenario, ())
        for budget in chosen.label_budgets
    ]
    most = {"label_budget": largest_budget(chosen.label_budgets)}
    if "head_only" in chosen.scenarios:
        frozen = _classifier(config, seed, scenario="head_only", trained="head", **most)
        wanted += [
            frozen._replace(architecture=spec, encoder=AutoencoderTask(spec, seed))
            for spec in config.frozen_features
        ]
    if "ablation" in chosen.scenarios:
        for part, output, optimizer in product(*map(get_args, (Trained, Output, UpdateRule))):
            choice = {"output": output, "optimizer": optimizer}
            scenario = "as_reported" if choice == published_results.MISTAKE else "ablation"
            case = {"scenario": scenario, "trained": part, **choice, **most}
            wanted.append(_classifier(config, seed, **case))
    return wanted


def _classifier(config: StudyConfig, seed: int, **choices: Any) -> ClassifierTask:
    """One classifier on the study's encoder, or where the mistake is studied, on the reported one.

    That is trained as the written study did, with torch's initial values and Adam 1e-3.
    """
    options = config.transfer.model_dump(include=set(TransferOptions.model_fields))
    scenario, encoder = choices["scenario"], AutoencoderTask(config.transfer_model, seed)
    if scenario in {"as_reported", "ablation"}:
        options["epochs"] = config.transfer.reported_epochs
        differs = config.reported_recipe(seed) != config.recipe(seed)
        encoder = encoder._replace(as_reported=differs)
    if scenario == "as_reported":
        choices |= published_results.MISTAKE
    spec = TransferSpec(**options | {"seed": seed} | choices)
    return ClassifierTask(spec, encoder.spec, None if scenario == "from_scratch" else encoder)
