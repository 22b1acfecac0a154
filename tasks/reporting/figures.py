"""The figures of a study's report that show several models together."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.analysis.intervals import estimate
from tasks.analysis.summaries import over_seeds
from tasks.analysis.tables import Groups, Tables, model_key
from tasks.artifacts.autoencoder import load_autoencoder
from tasks.artifacts.dataset import load_dataset
from tasks.cache.entry import Entry

if TYPE_CHECKING:
    from pandas import DataFrame

    from tasks.reporting.plots import Figure, Point


def draw(folder: Path, groups: Groups, tables: Tables) -> None:
    """Draw what there is to show into a folder, charts as SVG and images as PNG."""
    sweeps = {
        "latent": (tables.latent_sweep, lambda entry: f"d = {model_key(entry)[1]}"),
        "depth": (tables.depth_sweep, lambda entry: f"depth {model_key(entry)[0]}"),
    }
    for name, (rows, label) in sweeps.items():
        if len(rows):
            _draw_sweep(folder, name, groups, rows, label)
    charts: dict[str, Callable[[Tables], Figure | None]] = {
        "rate": rate,
        "correlation": correlation,
        "accuracy": accuracy,
        "frozen": frozen_features,
    }
    from tasks.reporting.plots import save

    for name, chart in charts.items():
        figure = chart(tables)
        if figure is not None:
            save(figure, folder / f"{name}.svg")


def _draw_sweep(
    folder: Path, name: str, groups: Groups, rows: "DataFrame", label: Callable[[Entry], str]
) -> None:
    """Curves over epochs with their intervals, and the first seed's reconstructions."""
    from tasks.reporting.plots import curves_figure, save

    chosen = set(rows.key)
    by_label: dict[str, list[Entry]] = {}
    for entry in sorted((e for e in groups["train"] if e.key in chosen), key=model_key):
        by_label.setdefault(label(entry), []).append(entry)
    curves = [
        {name: _curve(members, part) for name, members in by_label.items()}
        for part in ("test_loss", "train_loss")
    ]
    save(curves_figure(*curves), folder / f"{name}-curves.svg")
    first = {name: members[0] for name, members in by_label.items()}
    save(reconstruct(groups["data"][0], first), folder / f"{name}-reconstructions.png")


def _curve(members: Sequence[Entry], part: str) -> "list[Point]":
    from tasks.reporting.plots import Point

    epochs = zip(*(entry.result["history"] for entry in members), strict=True)
    found = []
    for of_seeds in epochs:
        value = estimate([epoch[part] for epoch in of_seeds])
        found.append(Point(of_seeds[0]["epoch"], value.mean, value.margin))
    return found


def reconstruct(dataset: Entry, models: dict[str, Entry]) -> "Figure":
    """The same test images through every model, one row each."""
    from models.inference import apply
    from tasks.reporting.plots import reconstruction_figure

    images = load_dataset(dataset)
    originals = images.test_images[images.examples()]
    shown = {name: apply(load_autoencoder(entry), originals) for name, entry in models.items()}
    return reconstruction_figure(originals, shown)


def points(rows: "DataFrame", x: str, y: str) -> "list[Point]":
    """Means over seeds by x, in rising order, as far as they were measured."""
    from tasks.reporting.plots import Point

    measured = [(row[x], row[y]) for row in over_seeds(rows, [x], [y]) if row[y] is not None]
    return [Point(at, value.mean, value.margin) for at, value in sorted(measured)]


def _lines(rows: "DataFrame", x: str, named: dict[str, str]) -> "dict[str, list[Point]]":
    found = {name: points(rows, x, column) for name, column in named.items()}
    return {name: measured for name, measured in found.items() if measured}


def rate(tables: Tables) -> "Figure | None":
    """Test loss by latent size beside the linear limit and the reported numbers."""
    from tasks.reporting.plots import lines_figure

    named = {
        "autoencoder, test": "final_test_loss",
        "PCA, the linear limit": "pca_test_loss",
        "reported, test": "reported_test_loss",
    }
    lines = _lines(tables.latent_sweep, "latent_dim", named)
    return lines_figure(lines, "latent size", "MSE per pixel", log_y=True) if lines else None


def correlation(tables: Tables) -> "Figure | None":
    """Mean correlation by latent size, in both ways of counting dead units."""
    from tasks.reporting.plots import lines_figure

    named = {
        "live pairs": "mean_abs_correlation_live",
        "NaN as 0, as reported": "mean_abs_correlation_nan_as_zero",
    }
    lines = _lines(tables.latent_sweep, "latent_dim", named)
    return lines_figure(lines, "latent size", "mean |Pearson|") if lines else None


def accuracy(tables: Tables) -> "Figure | None":
    """Test accuracy by labelled images, one line per scenario."""
    from tasks.reporting.plots import lines_figure

    rows = tables.scenarios
    rows = rows[rows.scenario != "as_reported"].assign(labels=_labelled_images(rows, tables))
    lines = {
        str(scenario): points(chosen, "labels", "test_accuracy")
        for scenario, chosen in rows.groupby("scenario", sort=False)
    }
    return lines_figure(lines, "labelled images", "test accuracy") if lines else None


def _labelled_images(rows: "DataFrame", tables: Tables) -> Any:
    return rows.label_budget.replace("all", tables.n_train).astype(float)


def frozen_features(tables: Tables) -> "Figure | None":
    """Test accuracy on a frozen encoder by latent size."""
    from tasks.reporting.plots import lines_figure

    found = points(tables.frozen, "latent_dim", "test_accuracy")
    if not found:
        return None
    return lines_figure({"frozen encoder": found}, "latent size", "test accuracy")
