"""The diagram: which tasks a study has, and what each needs.

data -> train -> evaluate -> interpolate -> correlate -> transfer -> report. The same wiring is run
by Prefect and read by ``study plan``; they differ in the graph that it is submitted to.
"""

from typing import Any, NamedTuple, Protocol

from flows.config import Section, StudyConfig
from flows.work import training_work, transfer_work
from models.specs import ModelSpec, TransferSpec
from tasks.correlate import correlate
from tasks.data import data, source_fingerprint
from tasks.evaluate import evaluate
from tasks.interpolate import interpolate, interpolation_grid
from tasks.pca import pca
from tasks.report import report
from tasks.step import Step
from tasks.train import train
from tasks.transfer import transfer

Node = Any  # what a graph gives for a submitted task, and takes as another's input


class Graph(Protocol):
    """Takes the tasks of a study."""

    def submit(self, step: Step, label: str, group: str | None = None, **inputs: Any) -> Node:
        """Take one task by the name ``step[label]``; its group is the step's name."""


def transfer_label(spec: TransferSpec) -> str:
    """How task runs name a classifier."""
    parts = ("scenario", "trained", "label_budget", "seed")
    return ", ".join(f"{part}={getattr(spec, part)}" for part in parts)


def submit_sections(graph: Graph, config: StudyConfig, sections: tuple[Section, ...]) -> None:
    """data -> train -> evaluate -> interpolate -> correlate -> transfer, for these sections."""
    source = source_fingerprint(config.dataset)
    dataset = graph.submit(data, config.dataset.name, config=config.dataset, source=source)

    models = submit_trainings(graph, config, sections, dataset)
    linear = graph.submit(pca, config.dataset.name, dataset=dataset)
    if "transfer" in sections:
        submit_transfers(graph, config, dataset, models)

    for training, model in models.items():
        graph.submit(evaluate, training.label, dataset=dataset, model=model, pca=linear)
        is_swept = training.spec in config.latent_sweep and not training.as_reported
        if "decorrelation" in sections and is_swept:
            graph.submit(correlate, training.label, dataset=dataset, model=model)

    if "interpolation" in sections and config.interpolated:
        seed = config.seeds[0]
        walks = [
            graph.submit(
                interpolate,
                f"{pair[0]}->{pair[1]}, latent_dim={spec.latent_dim}, seed={seed}",
                dataset=dataset,
                model=models[Training(spec, seed)],
                pair=pair,
                steps=config.interpolation.steps,
            )
            for pair in config.interpolation.pairs
            for spec in config.interpolated
        ]
        graph.submit(interpolation_grid, f"seed={seed}", walks=walks)


class Training(NamedTuple):
    """One autoencoder of a study."""

    spec: ModelSpec
    seed: int
    as_reported: bool = False

    @property
    def label(self) -> str:
        """How task runs name it."""
        spec = self.spec
        label = f"depth={spec.depth}, latent_dim={spec.latent_dim}, seed={self.seed}"
        return f"{label}, recipe=as_reported" if self.as_reported else label


def submit_trainings(
    graph: Graph, config: StudyConfig, sections: tuple[Section, ...], dataset: Node
) -> dict[Training, Node]:
    """Every autoencoder that these sections need: first what transfer waits for, then the longest.

    The encoder of ``as_reported`` is trained as reported, unless all are.
    """
    transferred = config.transfer_model if "transfer" in sections else None
    wanted = [Training(spec, seed) for seed in config.seeds for spec in config.models(sections)]
    if transferred and "as_reported" in config.transfer.scenarios:
        wanted += [
            Training(transferred, seed, as_reported=True)
            for seed in config.seeds
            if config.reported_recipe(seed) != config.recipe(seed)
            or Training(transferred, seed) not in wanted
        ]
    epochs = config.training.epochs
    wanted.sort(key=lambda one: (one.spec != transferred, -training_work(one.spec, epochs)))
    return {
        one: graph.submit(
            train,
            one.label,
            group="reported_encoder" if one.as_reported else None,
            dataset=dataset,
            spec=one.spec,
            recipe=config.reported_recipe(one.seed) if one.as_reported else config.recipe(one.seed),
        )
        for one in wanted
    }


def submit_transfers(
    graph: Graph, config: StudyConfig, dataset: Node, models: dict[Training, Node]
) -> None:
    """Every scenario on the study's encoder, ``as_reported`` on that trained as reported."""
    encoder = config.transfer_model
    cases = [case for seed in config.seeds for case in config.transfers(seed)]
    for case in sorted(cases, key=lambda case: -transfer_work(case, encoder)):
        own = Training(encoder, case.seed)
        reported = own._replace(as_reported=True)
        as_reported = case.scenario == "as_reported" and reported in models
        model = models[reported if as_reported else own]
        graph.submit(transfer, transfer_label(case), dataset=dataset, model=model, spec=case)


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
    asked = described(config, sections)
    return graph.submit(report, config.name, config=asked, groups=groups, failures=failures)
