"""The diagram: which tasks a study has, and what each needs.

data -> train -> evaluate, correlate, transfer, interpolate, realism -> report; beside them pca and
theory. What representation.py submits measures the latents.
``study run`` and ``study plan`` submit the same tasks: one to a graph that Prefect runs, the other
to a graph that only looks them up in the store.
"""

from collections.abc import Mapping, Sequence

from flows.configuration.checks.memory import check_memory
from flows.configuration.checks.networks import check_measures, check_networks
from flows.configuration.grid import (
    AutoencoderTask,
    ClassifierTask,
    autoencoders,
    classifiers,
    judges,
)
from flows.configuration.load import command_of, is_as_shipped
from flows.configuration.study_config import Section, StudyConfig
from flows.configuration.training_cost import more_seeds_note, training_cost, transfer_cost
from flows.graph import Graph, GraphWithVersions, Node
from flows.representation import submit_representation
from models.specs import ConfigError, too_large_budgets
from tasks.analysis.scenarios import SCENARIOS
from tasks.datasets.contents import Inventory, source_fingerprint, take_inventory
from tasks.datasets.dataset import DatasetError
from tasks.steps.correlate import correlate
from tasks.steps.data import data
from tasks.steps.evaluate import evaluate
from tasks.steps.interpolate import interpolate
from tasks.steps.interpolation_grid import interpolation_grid
from tasks.steps.package import package
from tasks.steps.pca import components_to_find, pca
from tasks.steps.reach import reach
from tasks.steps.realism import realism
from tasks.steps.report import report
from tasks.steps.theory import theory
from tasks.steps.train import train
from tasks.steps.transfer import transfer

NEED_LABELS: tuple[Section, ...] = ("interpolation", "transfer")


def check_dataset(config: StudyConfig, sections: tuple[Section, ...]) -> list[str]:
    """What to say before these sections run: of the dataset's files, and of a single seed.

    No image is read.

    Raises ConfigError if they cannot be used, or lack a class that is asked for.
    """
    if set(sections) <= {"theory"}:
        return []
    try:
        found = take_inventory(config.dataset)
    except DatasetError as error:
        raise ConfigError(str(error)) from None
    check_memory(found, config.runner)
    if "interpolation" in sections and len(found.classes) > 1:
        config.interpolation.label_pairs(found.classes, found.tested)
    budgets = config.transfer.label_budgets if _has_classifiers(config, sections) else ()
    means = f"means all {found.n_train:,} training images"
    too_large = too_large_budgets(budgets, found.n_train)
    odd = check_networks(config, found.image_shape)
    if "representation" in sections:
        check_measures(config, found.image_shape, len(found.classes))
    more_seeds = more_seeds_note(config, sections, found.n_train)
    return [
        *found.notes,
        *odd,
        *(f"transfer.label_budgets: {one} {means}" for one in too_large),
        *([more_seeds] if more_seeds else []),
    ]


def _has_classifiers(config: StudyConfig, sections: tuple[Section, ...]) -> bool:
    return "transfer" in sections and bool(config.transfer.scenarios)


def left_out(config: StudyConfig, sections: tuple[Section, ...]) -> dict[Section, str]:
    """The sections that this dataset does not allow, and why."""
    if set(sections).isdisjoint(NEED_LABELS):
        return {}
    classes = take_inventory(config.dataset).classes
    reason = "the dataset has a single class" if classes else "the dataset has no labels"
    return {name: reason for name in sections if name in NEED_LABELS and len(classes) < 2}


def submit_sections(graph: Graph[Node], config: StudyConfig, sections: tuple[Section, ...]) -> None:
    """Submit every task of these sections, except the sections that the dataset does not allow."""
    if config.versions_in_key:
        graph = GraphWithVersions(graph)
    if "theory" in sections:
        graph.submit(theory, {"subject": "exercises"})
    without = {"theory", *left_out(config, sections)}
    with_dataset = tuple(name for name in sections if name not in without)
    if with_dataset:
        submit_experiments(graph, config, with_dataset)


def submit_experiments(
    graph: Graph[Node], config: StudyConfig, sections: tuple[Section, ...]
) -> None:
    """Submit data -> train -> evaluate -> interpolate -> correlate -> transfer.

    Models of the first seed are packaged: that takes longer than a small training.
    """
    source = source_fingerprint(config.dataset)
    of_dataset = {"dataset": config.dataset.name}
    dataset = graph.submit(data, of_dataset, config=config.dataset, source=source)

    found = take_inventory(config.dataset)
    wanted = classifiers(config, sections, found.n_train)
    models = submit_trainings(graph, config, sections, dataset, wanted)
    sizes = {training.spec.latent_dim for training in models}
    components = components_to_find(found.image_shape, sizes)
    linear = graph.submit(pca, of_dataset, dataset=dataset, components=components)
    reached = graph.submit(
        reach, of_dataset, dataset=dataset, pca=linear, architectures=config.all_architectures
    )
    judging = judges(config, sections)
    transfers = submit_transfers(graph, dataset, models, wanted, judging)

    swept = config.latent_sweep if "decorrelation" in sections else []
    for training, model in models.items():
        if training.as_reported:  # it is trained for its learning curve and for classifiers
            continue
        if training.seed == config.seeds[0]:
            graph.submit(package, training.identity, model=model)
        evaluated = graph.submit(
            evaluate, training.identity, dataset=dataset, model=model, pca=linear, reach=reached
        )
        if training.variant in swept:
            graph.submit(
                correlate, training.identity, dataset=dataset, model=model, evaluated=evaluated
            )

    if "representation" in sections:
        submit_representation(graph, config, found, dataset, models)

    for one in wanted:
        if SCENARIOS[one.spec.scenario].packaged and one.spec.seed == config.seeds[0]:
            graph.submit(package, one.identity, model=transfers[one])

    if "interpolation" in sections and config.interpolation_models:
        judge_nodes = [transfers[one] for one in judging]
        submit_interpolations(graph, config, found, dataset, models, judge_nodes)


def submit_trainings(
    graph: Graph[Node],
    config: StudyConfig,
    sections: tuple[Section, ...],
    dataset: Node,
    classifiers: list[ClassifierTask],
) -> dict[AutoencoderTask, Node]:
    """Submit every autoencoder: first those that most classifiers need, then the longest trainings.

    In stacks, the task of the first seed computes all seeds, so it goes before all other seeds.
    """
    waiting = {config.transfer_model} if "transfer" in sections else set()
    epochs = config.training.epochs
    stacked = config.runner.stack_size > 1
    wanted = sorted(
        autoencoders(config, sections, classifiers),
        key=lambda one: (
            stacked and one.seed != config.seeds[0],
            one.variant not in waiting,
            -training_cost(one.spec, epochs),
        ),
    )
    return {
        one: graph.submit(
            train,
            one.identity,
            group="reported_encoder" if one.as_reported else None,
            dataset=dataset,
            spec=one.spec,
            recipe=one.recipe(config),
            objective=one.variant.objective,
        )
        for one in wanted
    }


def submit_transfers(
    graph: Graph[Node],
    dataset: Node,
    models: dict[AutoencoderTask, Node],
    classifiers: list[ClassifierTask],
    judging: list[ClassifierTask],
) -> dict[ClassifierTask, Node]:
    """Submit every classifier with its encoder, and every judge, the longest trainings first.

    A judge that is not a classifier of the study has a group of its own.
    """
    wanted = dict.fromkeys([*classifiers, *judging])
    return {
        one: graph.submit(
            transfer,
            one.identity,
            group=None if one in classifiers else "judge",
            dataset=dataset,
            model=None if one.encoder is None else models[one.encoder],
            architecture=one.architecture,
            spec=one.spec,
        )
        for one in sorted(wanted, key=lambda one: -transfer_cost(one.spec, one.architecture))
    }


def submit_interpolations(
    graph: Graph[Node],
    config: StudyConfig,
    found: Inventory,
    dataset: Node,
    models: dict[AutoencoderTask, Node],
    judge_nodes: list[Node],
) -> None:
    """Submit how real the walks of every model are, and pictures of those of the first seed.

    A walk is between images of a pair of classes. The judges measure how real its images are.
    """
    steps = config.interpolation.steps
    pairs = config.interpolation.label_pairs(found.classes, found.tested)
    variants, first = config.interpolation_models, config.seeds[0]
    for seed in config.seeds:
        for one in variants:
            graph.submit(
                realism,
                {"latent_dim": one.spec.latent_dim, "seed": seed},
                dataset=dataset,
                model=models[AutoencoderTask(one, seed)],
                judges=judge_nodes,
                pairs=pairs,
                steps=steps,
            )
    shown = [_shown(name) for name in found.classes]
    walks = [
        graph.submit(
            interpolate,
            {
                "pair": [shown[label] for label in pair],
                "latent_dim": one.spec.latent_dim,
                "seed": first,
            },
            dataset=dataset,
            model=models[AutoencoderTask(one, first)],
            pair=pair,
            steps=steps,
        )
        for pair in pairs
        for one in variants
    ]
    graph.submit(interpolation_grid, {"seed": first}, walks=walks)


def _shown(name: str) -> int | str:
    """The name of a class in the name of a task: digits without quotes, but 01 is not 1."""
    return int(name) if name.isdecimal() and str(int(name)) == name else name


def study_parameters(config: StudyConfig, sections: tuple[Section, ...]) -> dict[str, object]:
    """Settings and sections as JSON data, without the runner, which changes no result."""
    return config.model_dump(mode="json", exclude={"runner"}) | {"sections": list(sections)}


def submit_report(
    graph: Graph[Node],
    config: StudyConfig,
    sections: tuple[Section, ...],
    groups: Mapping[str, Sequence[object]],
    failures: list[str],
) -> Node:
    """Submit the report of these groups of tasks or entries, and of what failed."""
    return graph.submit(
        report,
        {"study": config.name},
        config=study_parameters(config, sections) | {"as_shipped": is_as_shipped(config)},
        groups=groups,
        failures=failures,
        left_out=left_out(config, sections),
        command=command_of(config, sections),
    )
