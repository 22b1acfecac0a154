"""The tasks of the section ``representation``: what the latents of the sweeps hold.

encode -> probe, similarity, traverse, latent_map, own_measure; beside them probe_controls.
"""

from flows.configuration.grid import AutoencoderTask
from flows.configuration.study_config import StudyConfig
from flows.graph import Graph, Node
from tasks.cache.identity import Identity
from tasks.datasets.contents import Inventory
from tasks.steps.representation.encode import encode
from tasks.steps.representation.latent_map import latent_map
from tasks.steps.representation.own_measure import own_measure
from tasks.steps.representation.probe import probe
from tasks.steps.representation.probe_controls import probe_controls
from tasks.steps.representation.similarity import similarity
from tasks.steps.representation.traverse import traverse


def submit_representation(
    graph: Graph[Node],
    config: StudyConfig,
    found: Inventory,
    dataset: Node,
    models: dict[AutoencoderTask, Node],
) -> None:
    """Submit the measures of every model of the sweeps; pictures and maps of the first seed.

    Probes need labels of two classes.
    """
    chosen, first = config.representation, config.seeds[0]
    measured = [
        AutoencoderTask(variant, seed)
        for variant in config.representation_models
        for seed in config.seeds
    ]
    if not measured:
        return
    labelled = len(found.classes) > 1
    sizes = sorted({one.spec.latent_dim for one in measured}) if labelled else []
    controls = submit_controls(graph, config, dataset, sizes)
    latents = {}
    for one in measured:
        model = models[one]
        latents[one] = graph.submit(encode, one.identity, dataset=dataset, model=model)
        probed = graph.submit(
            probe,
            one.identity,
            dataset=dataset,
            model=model,
            latents=latents[one],
            controls=controls.get(one.spec.latent_dim, {}),
            probe_images=chosen.probe_images,
            neighbours=chosen.neighbours,
            ablation_images=chosen.ablation_images,
        )
        if one.seed == first:
            graph.submit(
                traverse,
                one.identity,
                model=model,
                latents=latents[one],
                probed=probed,
                steps=chosen.traversal_steps,
            )
        for name, measure in (config.measures or {}).items():
            graph.submit(
                own_measure,
                {"measure": name, **one.identity},
                dataset=dataset,
                model=model,
                latents=latents[one],
                name=name,
                measure=measure.code,
            )
    graph.submit(
        similarity,
        {"dataset": config.dataset.name},
        dataset=dataset,
        latents=list(latents.values()),
    )
    mapped = [latents[AutoencoderTask(variant, first)] for variant in config.mapped_models]
    graph.submit(
        latent_map,
        {"seed": first},
        dataset=dataset,
        latents=mapped,
        images=chosen.map_images,
        seed=first,
    )


def submit_controls(
    graph: Graph[Node], config: StudyConfig, dataset: Node, sizes: list[int]
) -> dict[int, dict[str, Node]]:
    """Submit the probes of pixels, and of as many principal components as each latent size.

    Returns both by latent size.
    """

    def submit(identity: Identity, components: int | None) -> Node:
        return graph.submit(
            probe_controls,
            identity,
            dataset=dataset,
            components=components,
            probe_images=config.representation.probe_images,
            neighbours=config.representation.neighbours,
        )

    if not sizes:
        return {}
    pixel = submit({"features": "pixels"}, None)
    return {
        size: {"pixel": pixel, "pca": submit({"features": "PCA", "latent_dim": size}, size)}
        for size in sizes
    }
