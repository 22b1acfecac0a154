"""The figures of a study's report that show several models together."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.analysis.failures import has_failed
from tasks.analysis.intervals import estimate
from tasks.analysis.summaries import means_over_seeds
from tasks.analysis.tables import Groups, Tables, model_identity
from tasks.artifacts.autoencoder import load_autoencoder
from tasks.artifacts.dataset import load_dataset
from tasks.artifacts.reach import ERRORS_FILE
from tasks.cache.entry import Entry, loading
from tasks.reporting.few_models import (
    confusion_of_scenarios,
    latent_maps_figure,
    walks_figure,
)
from tasks.reporting.page import pictured_seed
from tasks.reporting.words import value_name

if TYPE_CHECKING:
    from pandas import DataFrame, Series

    from tasks.reporting.plots import Figure, Point


def draw_figures(
    folder: Path, groups: Groups, tables: Tables, mean_image_loss: float | None
) -> None:
    """Write the figures whose data were measured into a folder: charts as SVG, images as PNG.

    A training whose test loss is not below ``mean_image_loss`` is drawn as failed. Images are those
    of ``pictured_seed``; a model that lacks this seed is not shown.
    """
    from tasks.reporting.plots import save

    seed = pictured_seed(groups, tables.config["seeds"])
    sweeps = {
        "latent": (tables.latent_sweep, lambda entry: f"d = {model_identity(entry).latent_dim}"),
        "depth": (tables.architecture_sweep, lambda entry: model_identity(entry).architecture),
        "objective": (tables.objective_sweep, lambda entry: model_identity(entry).objective),
    }
    for name, (rows, label) in sweeps.items():
        if len(rows):
            _draw_sweep(folder, name, groups, rows, label, seed)
    if len(tables.architecture_sweep):
        figure = pixel_error_figure(groups, tables.architecture_sweep, seed)
        if figure is not None:
            save(figure, folder / "pixel-errors.png")
    labelled_pictures = {
        "latent-maps": latent_maps_figure(groups, tables, seed),
        "confusion": confusion_of_scenarios(groups, tables, seed),
        "walks": walks_figure(groups),
    }
    for name, figure in labelled_pictures.items():
        if figure is not None:
            save(figure, folder / f"{name}.png")
    charts: dict[str, Callable[[Tables], Figure | None]] = {
        "rate": partial(rate_figure, mean_image_loss=mean_image_loss),
        "correlation": correlation_figure,
        "accuracy": accuracy_figure,
        "frozen": frozen_feature_figure,
    }
    for name, chart in charts.items():
        figure = chart(tables)
        if figure is not None:
            save(figure, folder / f"{name}.svg")


def _draw_sweep(
    folder: Path,
    name: str,
    groups: Groups,
    rows: "DataFrame",
    label: Callable[[Entry], str],
    seed: int,
) -> None:
    """Loss curves with intervals, and reconstructions by one seed of each label."""
    from tasks.reporting.plots import curves_figure, save

    chosen = set(rows.key)
    by_label: dict[str, list[Entry]] = {}
    for entry in sorted((e for e in groups["train"] if e.key in chosen), key=model_identity):
        by_label.setdefault(label(entry), []).append(entry)
    curves = [
        {name: _mean_curve(members, loss) for name, members in by_label.items()}
        for loss in ("test_loss", "train_loss")
    ]
    save(curves_figure(*curves), folder / f"{name}-curves.svg")
    shown = {
        name: one
        for name, members in by_label.items()
        for one in members
        if model_identity(one).seed == seed
    }
    if shown:
        save(reconstructions(groups["data"][0], shown), folder / f"{name}-reconstructions.png")


def _mean_curve(members: Sequence[Entry], loss: str) -> "list[Point]":
    """A loss by epoch, as the mean over the models of several seeds that reached that epoch."""
    from tasks.reporting.plots import Point

    epochs = zip_longest(*(entry.result["history"] for entry in members))
    found = []
    for epoch_of_all in epochs:
        epoch_of_each = [epoch for epoch in epoch_of_all if epoch is not None]
        value = estimate([epoch[loss] for epoch in epoch_of_each])
        found.append(Point(epoch_of_each[0]["epoch"], value.mean, value.margin))
    return found


def reconstructions(dataset: Entry, models: dict[str, Entry]) -> "Figure":
    """The same test images reconstructed by every model, one row each below the originals."""
    from models.inference import apply
    from tasks.reporting.plots import reconstruction_figure

    images = load_dataset(dataset)
    originals = images.test_images[images.examples()]
    rebuilt = {name: apply(load_autoencoder(entry), originals) for name, entry in models.items()}
    return reconstruction_figure(originals, rebuilt)


def pixel_error_figure(groups: Groups, rows: "DataFrame", seed: int) -> "Figure | None":
    """The error of each pixel over test images and channels, for one seed of every architecture."""
    from safetensors.torch import load_file

    from tasks.reporting.plots import heat_maps

    evaluated = {entry.inputs["model"]: entry for entry in groups.get("evaluate", [])}
    maps = {}
    for entry in sorted(groups["train"], key=model_identity):
        identity, measured = model_identity(entry), evaluated.get(entry.fingerprint)
        chosen = entry.key in set(rows.key) and identity.seed == seed
        if chosen and measured is not None:
            with loading(measured):
                errors = load_file(measured.path(ERRORS_FILE))["test"]
                maps[identity.architecture] = errors.mean(0)
    return heat_maps(maps) if maps else None


def points(rows: "DataFrame", x: str, y: str) -> "list[Point]":
    """Means over seeds of the column ``y`` for each value of the column ``x``, in rising order.

    A value of ``x`` where ``y`` was not measured is left out.
    """
    from tasks.reporting.plots import Point

    measured = [(row[x], row[y]) for row in means_over_seeds(rows, [x], [y]) if row[y] is not None]
    return [Point(at, value.mean, value.margin) for at, value in sorted(measured)]


def named_lines(rows: "DataFrame", x: str, columns: dict[str, str]) -> "dict[str, list[Point]]":
    """A line for each named column that was measured."""
    found = {name: points(rows, x, column) for name, column in columns.items()}
    return {name: measured for name, measured in found.items() if measured}


def rate_figure(tables: Tables, mean_image_loss: float | None) -> "Figure | None":
    """Test loss by latent size, with the linear limit and the published losses.

    The seeds of each size are points of their own, crosses if they failed.
    """
    from tasks.reporting.plots import Point, lines_figure

    columns = {
        "autoencoder, test": "final_test_loss",
        "PCA, the linear limit": "pca_test_loss",
        "reported, test": "reported_test_loss",
    }
    rows = tables.latent_sweep
    lines = named_lines(rows, "latent_dim", columns)
    if not lines:
        return None
    limit = float("inf") if mean_image_loss is None else mean_image_loss
    known = rows[rows.final_test_loss.notna()]
    failed = has_failed(known.final_test_loss, limit)
    singles, crosses = (
        [Point(*pair) for pair in zip(one.latent_dim, one.final_test_loss, strict=True)]
        for one in (known[~failed], known[failed])
    )
    return lines_figure(
        lines, "latent size", "MSE per pixel", log_y=True, singles=singles, failed=crosses
    )


def correlation_figure(tables: Tables) -> "Figure | None":
    """Mean correlation by latent size, for both treatments of dead units."""
    from tasks.reporting.plots import lines_figure

    columns = {
        "live pairs": "mean_abs_correlation_live",
        "NaN as 0, as reported": "mean_abs_correlation_nan_as_zero",
    }
    lines = named_lines(tables.latent_sweep, "latent_dim", columns)
    return lines_figure(lines, "latent size", "mean |Pearson|") if lines else None


def accuracy_figure(tables: Tables) -> "Figure | None":
    """Test accuracy by number of labelled images, one line per scenario."""
    from tasks.reporting.plots import lines_figure

    rows = tables.scenarios
    rows = rows[rows.scenario != "as_reported"].assign(labels=_labelled_images(rows, tables))
    lines = {
        value_name(scenario, "scenario"): points(chosen, "labels", "test_accuracy")
        for scenario, chosen in rows.groupby("scenario", sort=False)
    }
    return lines_figure(lines, "labelled images", "test accuracy") if lines else None


def _labelled_images(rows: "DataFrame", tables: Tables) -> "Series[float]":
    return rows.label_budget.replace("all", tables.n_train).astype(float)


def frozen_feature_figure(tables: Tables) -> "Figure | None":
    """Test accuracy on a frozen encoder by latent size."""
    from tasks.reporting.plots import lines_figure

    found = points(tables.frozen, "latent_dim", "test_accuracy")
    if not found:
        return None
    return lines_figure({"frozen encoder": found}, "latent size", "test accuracy")
