"""Figures of a few models side by side, large enough to be read; the page folds the others."""

from typing import TYPE_CHECKING

from models.specs import largest_budget
from tasks.analysis.tables import Groups, Tables, model_identity
from tasks.artifacts.autoencoder import load_autoencoder
from tasks.artifacts.dataset import load_dataset
from tasks.artifacts.walks import load_walks
from tasks.reporting.page import few
from tasks.reporting.words import value_name

if TYPE_CHECKING:
    from tasks.cache.entry import Entry
    from tasks.reporting.plots import Figure

MOST_PAIRS = 3


def latent_maps_figure(groups: Groups, tables: Tables, seed: int) -> "Figure | None":
    """The latent vectors of the test images for a few latent sizes: smallest to largest."""
    from models.inference import apply
    from models.measures.latents import principal_plane
    from tasks.reporting.plots import latent_maps

    keys = set(tables.latent_sweep.key) if len(tables.latent_sweep) else set()
    swept = [
        entry
        for entry in groups.get("train", [])
        if entry.key in keys and model_identity(entry).seed == seed
    ]
    if not swept or not groups.get("data"):
        return None
    chosen = few(sorted(swept, key=lambda entry: model_identity(entry).latent_dim))
    dataset = groups["data"][0]
    images = load_dataset(dataset)
    planes = {
        f"latent size {model_identity(entry).latent_dim}": principal_plane(
            apply(load_autoencoder(entry).encoder, images.test_images)
        )
        for entry in chosen
    }
    return latent_maps(planes, images.test_labels, dataset.result["classes"])


def confusion_of_scenarios(groups: Groups, tables: Tables, seed: int) -> "Figure | None":
    """What the classifiers of each scenario confuse, those with the most labels."""
    import torch

    from tasks.reporting.plots import confusion_matrices

    rows = tables.scenarios
    rows = rows[(rows.seed == seed) & (rows.scenario != "as_reported")]
    if not len(rows):
        return None
    last = rows[rows.label_budget == largest_budget(list(rows.label_budget))]
    by_key: dict[str, Entry] = {entry.key: entry for entry in groups["transfer"]}
    chosen = [by_key[key] for key in last.key]
    counts = {
        f"{value_name(spec['scenario'], 'scenario')}, {spec['label_budget']} labels": torch.tensor(
            entry.result["confusion"]
        )
        for entry in chosen
        if (spec := entry.result["spec"]) and "confusion" in entry.result
    }
    classes = groups["data"][0].result["classes"]
    return confusion_matrices(counts, classes) if counts else None


def walks_figure(groups: Groups) -> "Figure | None":
    """The walks of a few pairs at every latent size, and the pixels mixed."""
    from tasks.reporting.plots import picture_rows

    walks = groups.get("interpolate", [])
    pairs = list(dict.fromkeys(tuple(entry.result["pair"]) for entry in walks))
    rows = {}
    for pair in pairs[:MOST_PAIRS]:
        for entry in (one for one in walks if tuple(one.result["pair"]) == pair):
            tensors, shown = load_walks(entry), entry.result["parameters"]
            title = f"{shown['from']} to {shown['to']}"
            rows[f"{title}, size {shown['latent_dim']}"] = tensors["decoded"]
        rows[f"{title}, pixels"] = tensors["pixels"]
    return picture_rows(rows) if rows else None
