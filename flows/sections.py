"""The diagram: which tasks a study has, and what each needs.

data -> train -> evaluate -> interpolate -> correlate -> transfer -> report. The same wiring is run
by Prefect and read by ``study plan``; they differ in the graph that it is submitted to.
"""

from typing import Any, Protocol

from flows.config import Section, StudyConfig
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


def model_label(spec: ModelSpec, seed: int) -> str:
    """How task runs name a model."""
    return f"depth={spec.depth}, latent_dim={spec.latent_dim}, seed={seed}"


def transfer_label(spec: TransferSpec) -> str:
    """How task runs name a classifier."""
    parts = ("scenario", "trained", "label_budget", "seed")
    return ", ".join(f"{part}={getattr(spec, part)}" for part in parts)


def submit_sections(graph: Graph, config: StudyConfig, sections: tuple[Section, ...]) -> None:
    """data -> train -> evaluate -> interpolate -> correlate -> transfer, for these sections."""
    source = source_fingerprint(config.dataset)
    dataset = graph.submit(data, config.dataset.name, config=config.dataset, source=source)
    linear = graph.submit(pca, config.dataset.name, dataset=dataset)

    models = {}
    for seed in config.seeds:
        for spec in config.models(sections):
            models[spec, seed] = graph.submit(
                train,
                model_label(spec, seed),
                dataset=dataset,
                spec=spec,
                recipe=config.recipe(seed),
            )

    if "transfer" in sections:
        for seed in config.seeds:
            submit_transfers(graph, config, seed, dataset, models, linear)

    for (spec, seed), model in models.items():
        label = model_label(spec, seed)
        graph.submit(evaluate, label, dataset=dataset, model=model, pca=linear)
        if "decorrelation" in sections and spec in config.latent_sweep:
            graph.submit(correlate, label, dataset=dataset, model=model)

    if "interpolation" in sections and config.interpolated:
        seed = config.seeds[0]
        walks = [
            graph.submit(
                interpolate,
                f"{pair[0]}->{pair[1]}, latent_dim={spec.latent_dim}, seed={seed}",
                dataset=dataset,
                model=models[spec, seed],
                pair=pair,
                steps=config.interpolation.steps,
            )
            for pair in config.interpolation.pairs
            for spec in config.interpolated
        ]
        graph.submit(interpolation_grid, f"seed={seed}", walks=walks)


def submit_transfers(
    graph: Graph,
    config: StudyConfig,
    seed: int,
    dataset: Node,
    models: dict[tuple[ModelSpec, int], Node],
    linear: Node,
) -> None:
    """Every scenario on the study's encoder; ``as_reported`` on one trained as reported."""
    spec = config.transfer_model
    own = models.get((spec, seed))
    reported = own
    same_recipe = config.reported_recipe(seed) == config.recipe(seed)
    if "as_reported" in config.transfer.scenarios and (own is None or not same_recipe):
        label = f"{model_label(spec, seed)}, recipe=as_reported"
        reported = graph.submit(
            train,
            label,
            group="reported_encoder",
            dataset=dataset,
            spec=spec,
            recipe=config.reported_recipe(seed),
        )
        graph.submit(evaluate, label, dataset=dataset, model=reported, pca=linear)
    for case in config.transfers(seed):
        model = reported if case.scenario == "as_reported" else own
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
