"""What a study trains: every autoencoder, and every classifier with its encoder."""

from itertools import chain, count, islice, product
from typing import Any, NamedTuple, get_args

from flows.configuration.networks_config import Variant
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
    distinct_budgets,
    largest_budget,
)
from tasks.analysis import published_results
from tasks.analysis.scenarios import SCENARIOS
from tasks.cache.identity import Identity


class AutoencoderTask(NamedTuple):
    """One autoencoder of a study."""

    variant: Variant
    seed: int
    as_reported: bool = False

    @property
    def spec(self) -> ModelSpec:
        """Its architecture and latent size."""
        return self.variant.spec

    @property
    def identity(self) -> Identity:
        """The values that distinguish it from the other autoencoders of the study."""
        found = {**self.variant.identity, "seed": self.seed}
        return found | {"recipe": "as_reported"} if self.as_reported else found

    def recipe(self, config: StudyConfig) -> TrainingRecipe:
        """The recipe of its training."""
        return (config.reported_recipe if self.as_reported else config.recipe)(self.seed)


class ClassifierTask(NamedTuple):
    """One classifier of a study; without an encoder it starts from new weights."""

    spec: TransferSpec
    variant: Variant
    encoder: AutoencoderTask | None

    @property
    def architecture(self) -> ModelSpec:
        """Architecture and latent size of its encoder."""
        return self.variant.spec.without_decoder()

    @property
    def identity(self) -> Identity:
        """The values that distinguish it from the other classifiers of the study."""
        spec = self.spec
        parts = ["scenario", "trained", "label_budget", "seed"]
        if spec.scenario == "ablation":
            parts += ["output", "optimizer", "learning_rate", "labels"]
        found = {part: getattr(spec, part) for part in parts}
        return found | dict(self.variant.identity)


def autoencoders(
    config: StudyConfig, sections: tuple[Section, ...], classifiers: list[ClassifierTask]
) -> list[AutoencoderTask]:
    """The autoencoders that these sections and classifiers need, each once.

    Depths are also compared at the constant learning rate of the reported recipe: how fast a
    network converges under a schedule says more about the schedule. Latent sizes are, where the
    written study has printed their losses.
    """
    specs: list[Variant] = []
    compared = config.depth_sweep if "depth_sweep" in sections else []
    if {"latent_sweep", "decorrelation"} & set(sections):
        specs += config.latent_sweep
    if "depth_sweep" in sections:
        specs += config.architecture_sweep
    if "objective_sweep" in sections:
        specs += config.objective_sweep
    if "interpolation" in sections:
        specs += config.interpolation_models
    if "representation" in sections:
        specs += config.representation_models
    wanted = [AutoencoderTask(spec, seed) for seed in config.seeds for spec in specs]
    if "latent_sweep" in sections and _has_printed_losses(config):
        compared = [*compared, *config.latent_sweep]
    wanted += [_as_reported(config, spec, seed) for seed in config.seeds for spec in compared]
    wanted += [one.encoder for one in classifiers if one.encoder is not None]
    return list(dict.fromkeys(wanted))


def _has_printed_losses(config: StudyConfig) -> bool:
    """Whether the written study printed losses of the networks of the latent sweep."""
    return config.architecture is None and config.dataset.name == published_results.DATASET


def _as_reported(config: StudyConfig, spec: Variant, seed: int) -> AutoencoderTask:
    """An autoencoder with the reported recipe, which may be that of the study."""
    return AutoencoderTask(spec, seed, config.reported_recipe(seed) != config.recipe(seed))


def classifiers(
    config: StudyConfig, sections: tuple[Section, ...], n_train: int | None = None
) -> list[ClassifierTask]:
    """The classifiers that these sections train for themselves, each once.

    ``n_train`` is the number of training images, if it is known: label budgets of all of them and
    more are the same.
    """
    wanted: list[ClassifierTask] = []
    if "transfer" in sections:
        for seed in config.seeds:
            wanted += _transfer_classifiers(config, seed, n_train)
    return list(dict.fromkeys(wanted))


def judges(config: StudyConfig, sections: tuple[Section, ...]) -> list[ClassifierTask]:
    """The classifiers that judge decoded images: from scratch, with all labels.

    Their seeds are those of the study, then others, so most of them are classifiers of the transfer
    section too.
    """
    if "interpolation" not in sections or not config.interpolation_models:
        return []
    others = (seed for seed in count() if seed not in config.seeds)
    seeds = islice(chain(config.seeds, others), config.interpolation.judges)
    choices = {"trained": "head_and_encoder", "label_budget": "all"}
    return [_classifier(config, seed, scenario="from_scratch", **choices) for seed in seeds]


def _transfer_classifiers(
    config: StudyConfig, seed: int, n_train: int | None
) -> list[ClassifierTask]:
    """The classifiers of the transfer section with this seed.

    Every scenario has every label budget. Comparisons of latent sizes, the ablation and what the
    written study reported have only the largest one.
    """
    chosen = config.transfer
    budgets = distinct_budgets(chosen.label_budgets, n_train)
    largest: dict[str, Any] = {"label_budget": largest_budget(budgets)}
    wanted = [
        _classifier(config, seed, scenario=scenario, trained=part, label_budget=budget)
        for scenario in chosen.scenarios
        for part in SCENARIOS[scenario].trained
        for budget in (budgets if scenario != "as_reported" else largest.values())
    ]
    if "head_only" in chosen.scenarios:
        frozen = _classifier(config, seed, scenario="head_only", trained="head", **largest)
        wanted += [
            frozen._replace(variant=one, encoder=AutoencoderTask(one, seed))
            for one in config.frozen_encoder_models
        ]
    if "ablation" in chosen.scenarios:
        wanted += [
            _classifier(config, seed, **choice, **largest) for choice in _ablation_choices(config)
        ]
    return wanted


def _ablation_choices(config: StudyConfig) -> list[dict[str, Any]]:
    """Every output, optimizer, learning rate and trained part with aligned labels.

    Shuffled labels have only the head and the reported rate. Those of the written study are the
    scenario ``as_reported``.
    """
    outputs, optimizers, parts = map(get_args, (Output, UpdateRule, Trained))
    rates = config.transfer.ablation_learning_rates
    reported_rate = published_results.CLASSIFIER["learning_rate"]
    cells = [
        *product(outputs, optimizers, rates, ["aligned"], parts),
        *product(outputs, optimizers, [reported_rate], ["shuffled"], ["head"]),
    ]
    found = []
    for *values, part in cells:
        choice = dict(zip(published_results.CLASSIFIER, values, strict=True))
        scenario = "as_reported" if choice == published_results.CLASSIFIER else "ablation"
        found.append({"scenario": scenario, "trained": part, **choice})
    return found


def _classifier(
    config: StudyConfig, seed: int, *, scenario: Scenario, **choices: object
) -> ClassifierTask:
    """One classifier with the encoder of the study.

    For ``as_reported`` and ``ablation`` it is the encoder as the written study may have trained it:
    from torch's initial values with Adam 1e-3. It names neither optimizer nor learning rate.
    """
    options = config.transfer.model_dump(include=set(TransferOptions.model_fields))
    kind, encoder = SCENARIOS[scenario], AutoencoderTask(config.transfer_model, seed)
    if kind.encoder == "as reported":
        options["epochs"] = config.transfer.reported_epochs
        encoder = _as_reported(config, encoder.variant, seed)
    if scenario == "as_reported":
        choices |= published_results.CLASSIFIER
    spec = TransferSpec(**options | {"seed": seed, "scenario": scenario} | choices)
    return ClassifierTask(spec, encoder.variant, None if kind.encoder == "new" else encoder)
