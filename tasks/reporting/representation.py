"""The section ``representation`` of a report: similarities, maps, what its template shows."""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from tasks.analysis.intervals import Estimate, estimate
from tasks.analysis.summaries import place_in_metric
from tasks.analysis.tables import DEFAULT_OBJECTIVE, Groups, Tables, model_choices
from tasks.artifacts.latent_maps import LatentMaps, load_maps
from tasks.cache.canonical import JsonObject
from tasks.cache.entry import Entry
from tasks.cache.identity import Identity

if TYPE_CHECKING:
    from pandas import DataFrame

    from tasks.reporting.plots import Figure


MAP_SIDE, MARGIN = 400, 8  # of a map's drawing, and around its dots
MOST_BYTES = 450_000  # of the sprite, as a file; as text it is a third larger
SIMILARITY, SPRITE = "similarity", "sprite.jpg"


class Similarity(NamedTuple):
    """Linear CKA of one network and size with itself, from other seeds, and with the pixels.

    ``least`` and ``most`` are those of the ``pairs`` of seeds. A pair shares seeds with others, so
    ``between_seeds`` has no interval. What is not defined is None.
    """

    model: str
    metric: str
    between_seeds: float | None
    least: float | None
    most: float | None
    pairs: int
    with_pixels: Estimate | None


class Dot(NamedTuple):
    """One image on a map, in units of the drawing."""

    x: float
    y: float
    colour: str


class Map(TypedDict):
    """The dots of one map in the order of the sprite, and its title."""

    title: str
    dots: list[Dot]


def representation_values(folder: Path, groups: Groups, tables: Tables) -> JsonObject:
    """What the template shows besides tables of means; writes figures, the sprite and a CSV file.

    ``metrics`` are those of the study's run in MLflow.
    """
    from tasks.reporting.plots import save

    found: JsonObject = {"similarity": [], "maps": None, "metrics": {}, "controls": None}
    for entry in groups.get("similarity", [])[:1]:
        models = compared_models(entry, groups["encode"])
        found["similarity"] = similarities(entry, models)
        found["images"], found["floor"] = entry.result["images"], entry.result["floor"]
        found["metrics"] = dict(_metrics(found["similarity"]))
        save(_heat_map(entry, models), folder / f"{SIMILARITY}.svg")
        _pair_table(entry, models).to_csv(folder / f"{SIMILARITY}.csv", index=False)
    for entry in groups.get("latent_map", [])[:1]:
        found["maps"] = latent_maps(folder, entry, groups["data"][0].result["classes"])
    for entry in groups.get("probe_controls", [])[:1]:
        found["controls"] = entry.result
    figure = _probe_figure(tables)
    if figure is not None:
        save(figure, folder / "probes.svg")
    return found


def compared_models(entry: Entry, encoded: Sequence[Entry]) -> list[Identity]:
    """What distinguishes the models of an entry of step ``similarity``, in its order.

    Equal latents have one fingerprint; then it does not matter which of their models is which.
    """
    waiting: dict[str, list[Entry]] = {}
    for one in encoded:
        waiting.setdefault(one.fingerprint, []).append(one)
    return [waiting[fingerprint].pop(0).identity for fingerprint in entry.inputs["latents"]]


def similarities(entry: Entry, models: Sequence[Identity]) -> list[Similarity]:
    """A row for each network and size of an entry of step ``similarity``."""
    matrix, found = entry.result["cka"], []
    for model, places in _places(models).items():
        own = [matrix[i][j] for i in places for j in places if i < j]
        own = [value for value in own if value is not None]
        pixels = [matrix[i][-1] for i in places if matrix[i][-1] is not None]
        first = model_choices(models[places[0]])
        found.append(
            Similarity(
                model,
                place_in_metric(first.architecture, first.latent_dim, first.objective),
                fmean(own) if own else None,
                min(own, default=None),
                max(own, default=None),
                len(own),
                estimate(pixels) if pixels else None,
            )
        )
    return found


def _places(models: Sequence[Identity]) -> dict[str, list[int]]:
    """The rows of each network and size, whose seeds are in one order."""
    found: dict[str, list[int]] = {}
    for place, identity in enumerate(models):
        found.setdefault(model_label(identity), []).append(place)
    return found


def model_label(identity: Identity) -> str:
    """A model in words, without its seed: ``depth 2, d = 20``."""
    one = model_choices(identity)
    named = [one.architecture, f"d = {one.latent_dim}"]
    return ", ".join(named if one.objective == DEFAULT_OBJECTIVE else [*named, one.objective])


def _metrics(rows: list[Similarity]) -> Iterator[tuple[str, float]]:
    for row in rows:
        if row.between_seeds is not None:
            yield f"cka_between_seeds/{row.metric}", row.between_seeds
        if row.with_pixels is not None:
            yield f"cka_with_pixels/{row.metric}", row.with_pixels.mean


def _pairs(entry: Entry, models: Sequence[Identity]) -> Iterator[tuple[str, str, list[float]]]:
    """Each pair of networks and sizes, with the values of models of one seed, or of two seeds.

    A network and size is compared with itself by different seeds.
    """
    matrix, places = entry.result["cka"], _places(models)
    for a, first in places.items():
        for b, second in places.items():
            if a == b:
                values = [matrix[i][j] for i in first for j in second if i < j]
            else:
                values = [matrix[i][j] for i, j in zip(first, second, strict=True)]
            yield a, b, [value for value in values if value is not None]
        values = [matrix[i][-1] for i in first]
        yield a, "pixels", [value for value in values if value is not None]


def _heat_map(entry: Entry, models: Sequence[Identity]) -> "Figure":
    import torch

    from tasks.reporting.plots import similarity_map

    rows = [*_places(models)]
    columns = [*rows, "pixels"]
    means = torch.full((len(rows), len(columns)), torch.nan)
    for a, b, values in _pairs(entry, models):
        if values:
            means[rows.index(a), columns.index(b)] = fmean(values)
    return similarity_map(means, rows, columns)


def _pair_table(entry: Entry, models: Sequence[Identity]) -> "DataFrame":
    """Every pair once, its mean, and over seeds its interval where the values are independent."""
    from pandas import DataFrame

    rows, seen = [], set()
    for a, b, values in _pairs(entry, models):
        if values and (b, a) not in seen:
            seen.add((a, b))
            over = estimate(values)
            ends = (None, None) if a == b else (over.low, over.high)
            rows.append([a, b, over.mean, *ends, over.n])
    columns = ["model", "other", "cka", "ci95_low", "ci95_high", "pairs"]
    return DataFrame(rows, columns=columns)


def _probe_figure(tables: Tables) -> "Figure | None":
    """Accuracy of the linear probe by latent size, beside its controls.

    An interval of few seeds may reach beyond 0 and 1, where it is cut off.
    """
    from tasks.reporting.figures import named_lines
    from tasks.reporting.plots import lines_figure

    columns = {
        "trained encoder": "linear_probe_accuracy",
        "untrained encoder": "untrained_linear_probe_accuracy",
        "as many principal components": "pca_linear_probe_accuracy",
        "pixels": "pixel_linear_probe_accuracy",
        "shuffled labels": "shuffled_linear_probe_accuracy",
    }
    lines = named_lines(tables.latent_sweep, "latent_dim", columns)
    if not lines:
        return None
    figure = lines_figure(lines, "latent size", "accuracy of the linear probe")
    figure.axes[0].set_ylim(0, 1.02)
    return figure


def latent_maps(folder: Path, entry: Entry, classes: list[str]) -> JsonObject:
    """The maps of an entry of step ``latent_map``; writes the small pictures as one image."""
    from tasks.reporting.image_grids import save_sprite
    from tasks.reporting.plots import CLASS_COLOURS

    found = load_maps(entry)
    columns = math.ceil(math.sqrt(len(found.places)))
    save_sprite(found.pictures, columns, folder / SPRITE, MOST_BYTES)
    labels = [0] * len(found.places) if found.labels is None else found.labels.tolist()
    height, width = found.pictures.shape[2:]
    named = [] if found.labels is None else classes
    used = sorted(set(labels)) if named else []
    legend = [(named[label], CLASS_COLOURS[label % len(CLASS_COLOURS)]) for label in used]
    return {
        "maps": _maps(found, entry, labels),
        "legend": legend,
        "side": MAP_SIDE,
        "columns": columns,
        "rows": math.ceil(len(labels) / columns),
        "width": width,
        "height": height,
        "words": json.dumps(
            [
                f"{named[label]}, test image {place}" if named else f"test image {place}"
                for label, place in zip(labels, found.places.tolist(), strict=True)
            ]
        ),
    }


def _maps(found: LatentMaps, entry: Entry, labels: list[int]) -> list[Map]:
    from tasks.reporting.plots import CLASS_COLOURS

    colours = [CLASS_COLOURS[label % len(CLASS_COLOURS)] for label in labels]
    maps = []
    for place, size in enumerate(entry.result["latent_dims"]):
        for method in ("PCA", "t-SNE"):
            points = found.maps.get(f"{place} {method}")
            if points is not None:
                least, most = points.amin(0), points.amax(0)
                extent = float((most - least).max()) or 1.0
                scaled = (points - (least + most) / 2) / extent * (MAP_SIDE - 2 * MARGIN)
                places = (scaled + MAP_SIDE / 2).round().int().tolist()
                dots = [Dot(x, MAP_SIDE - y, c) for (x, y), c in zip(places, colours, strict=True)]
                maps.append(Map(title=f"d = {size}, {method}", dots=dots))
    return maps
