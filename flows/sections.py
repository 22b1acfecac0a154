"""The diagram: which tasks a study has, and what each needs.

data -> train -> evaluate -> interpolate -> correlate -> transfer -> report, and theory beside it.
The same wiring is run by Prefect and read by ``study plan``; they differ in the graph that it is
submitted to.
"""

from typing import Any, Protocol

from flows.configuration.grid import (
    AutoencoderTask,
    ClassifierTask,
    autoencoders,
    classifiers,
    judge,
)
from flows.configuration.load import command_of
from flows.configuration.study_config import Section, StudyConfig
from flows.configuration.training_cost import training_cost, transfer_cost
from tasks.cache.identity import Identity
from tasks.cache.step import Step
from tasks.datasets.contents import labels_in, source_fingerprint
from tasks.steps.correlate import correlate
from tasks.steps.data import data
from tasks.steps.evaluate import evaluate
from tasks.steps.interpolate import interpolate
from tasks.steps.interpolation_grid import interpolation_grid
from tasks.steps.package import package
from tasks.steps.pca import pca
from tasks.steps.report import report
from tasks.steps.theory import theory
from tasks.steps.train import train
from tasks.steps.transfer import transfer

Node = Any  # what a graph gives for a submitted task, and takes as another's input
PACKAGED = {"head_only", "fine_tune", "from_scratch"}  # classifiers that are of use
NEED_LABELS: tuple[Section, ...] = ("interpolation", "transfer")


class Graph(Protocol):
    """Takes the tasks of a study."""

    def submit(
        self, step: Step, identity: Identity, group: str | None = None, **inputs: Any
    ) -> Node:
        """Take one task of a step; its group is the step's name unless one is given."""


def left_out(config: StudyConfig, sections: tuple[Section, ...]) -> dict[Section, str]:
    """The sections that cannot be had with this dataset, and why."""
    if set(sections).isdisjoint(NEED_LABELS):
        return {}
    labels = labels_in(config.dataset)
    reason = "the dataset has a single class" if labels else "the dataset has no labels"
    return {name: reason for name in sections if name in NEED_LABELS and len(labels) < 2}


def submit_sections(graph: Graph, config: StudyConfig, sections: tuple[Section, ...]) -> None:
    """Everything that these sections need, as far as the dataset has it."""
    if "theory" in sections:
        graph.submit(theory, {"subject": "exercises"})
    without = {"theory", *left_out(config, sections)}
    measured = tuple(name for name in sections if name not in without)
    if measured:
        submit_measured(graph, config, measured)


def submit_measured(graph: Graph, config: StudyConfig, sections: tuple[Section, ...]) -> None:
    """data -> train -> evaluate -> interpolate -> correlate -> transfer, for these sections."""
    source = source_fingerprint(config.dataset)
    of_dataset = {"dataset": config.dataset.name}
    dataset = graph.submit(data, of_dataset, config=config.dataset, source=source)

    wanted = classifiers(config, sections)
    models = submit_trainings(graph, config, sections, dataset, wanted)
    linear = graph.submit(pca, of_dataset, dataset=dataset)
    transfers = submit_transfers(graph, dataset, models, wanted)

    for training, model in models.items():
        graph.submit(package, training.identity, model=model)
        graph.submit(evaluate, training.identity, dataset=dataset, model=model, pca=linear)
        is_swept = training.spec in config.latent_sweep and not training.as_reported
        if "decorrelation" in sections and is_swept:
            graph.submit(correlate, training.identity, dataset=dataset, model=model)

    for one, classifier in transfers.items():
        if one.spec.scenario in PACKAGED:
            graph.submit(package, one.identity, model=classifier)

    if "interpolation" in sections and config.interpolated:
        submit_walks(graph, config, dataset, models, transfers[judge(config)])


def submit_trainings(
    graph: Graph,
    config: StudyConfig,
    sections: tuple[Section, ...],
    dataset: Node,
    classifiers: list[ClassifierTask],
) -> dict[AutoencoderTask, Node]:
    """Every autoencoder: first those that most classifiers wait for, then the longest.

    Of models that train as one the first seed stands for all, so it goes before all other seeds.
    """
    waiting = {config.transfer_model} if "transfer" in sections else set()
    epochs = config.training.epochs
    as_one = config.runner.models_at_once > 1
    wanted = sorted(
        autoencoders(config, sections, classifiers),
        key=lambda one: (
            as_one and one.seed != config.seeds[0],
            one.spec not in waiting,
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
        )
        for one in wanted
    }


def submit_transfers(
    graph: Graph,
    dataset: Node,
    models: dict[AutoencoderTask, Node],
    classifiers: list[ClassifierTask],
) -> dict[ClassifierTask, Node]:
    """Every classifier on its encoder, the longest first."""
    return {
        one: graph.submit(
            transfer,
            one.identity,
            dataset=dataset,
            model=None if one.encoder is None else models[one.encoder],
            architecture=one.architecture,
            spec=one.spec,
        )
        for one in sorted(classifiers, key=lambda one: -transfer_cost(one.spec, one.architecture))
    }


def submit_walks(
    graph: Graph,
    config: StudyConfig,
    dataset: Node,
    models: dict[AutoencoderTask, Node],
    judge: Node,
) -> None:
    """Walks between pairs of labels at every latent size, and one picture of those of a seed."""
    steps = config.interpolation.steps
    pairs = config.interpolation.walks(labels_in(config.dataset))
    walks: dict[int, list[Node]] = {seed: [] for seed in config.seeds}
    for seed in config.seeds:
        for pair in pairs:
            for spec in config.interpolated:
                identity = {"pair": list(pair), "latent_dim": spec.latent_dim, "seed": seed}
                inputs = {"dataset": dataset, "model": models[AutoencoderTask(spec, seed)]}
                inputs |= {"judge": judge, "pair": pair, "steps": steps}
                walks[seed].append(graph.submit(interpolate, identity, **inputs))
    first = config.seeds[0]
    graph.submit(interpolation_grid, {"seed": first}, walks=walks[first])


def described(config: StudyConfig, sections: tuple[Section, ...]) -> dict[str, Any]:
    """What was asked for, as plain data; the runner is left out, for it changes no result."""
    return config.model_dump(mode="json", exclude={"runner"}) | {"sections": list(sections)}


def submit_report(
    graph: Graph,
    config: StudyConfig,
    sections: tuple[Section, ...],
    groups: dict[str, list[Node]],
    failures: list[str],
) -> Node:
    """The page of everything that came out, with what is missing named."""
    return graph.submit(
        report,
        {"study": config.name},
        config=described(config, sections),
        groups=groups,
        failures=failures,
        left_out=left_out(config, sections),
        command=command_of(config, sections),
    )
