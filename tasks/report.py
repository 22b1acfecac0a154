"""Step ``report``: every table and picture of a study in one self-contained HTML page."""

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tasks import reported
from tasks.data import load_dataset
from tasks.evaluate import first_of_each_class
from tasks.step import Step
from tasks.store import Entry
from tasks.train import load_model

PAGE = "index.html"
Row = dict[str, Any]
SWEEP_LABELS = {"latent": "d = {latent_dim}", "depth": "depth {depth}"}


def write_report(
    folder: Path,
    config: dict[str, Any],
    groups: dict[str, list[Entry]],
    failures: list[str],
) -> dict[str, Any]:
    """Tables as CSV, figures as PNG, and the page that holds both.

    ``groups`` maps a task's name to its entries; what failed is named in ``failures`` and missing
    from the page. Returns the headline numbers as metrics.
    """
    import pandas as pd

    tables = {
        "models": model_rows(groups),
        "transfer": transfer_rows(groups.get("transfer", [])),
    }
    for name, rows in tables.items():
        pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False)
    depth = reported.SWEEP_DEPTH
    wanted = {"latent": config["latent_dims"], "depth": config["depths"]}
    sweeps = {
        "latent": [
            row
            for row in tables["models"]
            if row["depth"] == depth and row["latent_dim"] in wanted["latent"]
        ],
        "depth": [
            row
            for row in tables["models"]
            if row["latent_dim"] == config["depth_latent_dim"] and row["depth"] in wanted["depth"]
        ],
    }
    _draw(folder, groups, sweeps)
    page = _render(config, groups, failures, tables, sweeps, folder)
    (folder / PAGE).write_text(page, encoding="utf-8")
    return {"metrics": headline(tables)}


def _key(entry: Entry) -> tuple[int, int, int]:
    spec = entry.result["spec"]
    return spec["depth"], spec["latent_dim"], entry.result["recipe"]["seed"]


def model_rows(groups: dict[str, list[Entry]]) -> list[Row]:
    """One row per trained autoencoder, with what was measured of it and what was reported."""
    extra: dict[str, dict[str, Any]] = {}
    for task in ("evaluate", "correlate"):
        for entry in groups.get(task, []):
            extra.setdefault(entry.inputs["model"], {}).update(entry.result["metrics"])
    rows = []
    for entry in sorted(groups.get("train", []), key=_key):
        depth, latent_dim, seed = _key(entry)
        on_mnist = depth == reported.SWEEP_DEPTH and _dataset_name(groups) == "mnist"
        rows.append(
            {
                "depth": depth,
                "latent_dim": latent_dim,
                "seed": seed,
                "n_parameters": entry.result["parameters"]["n_parameters"],
                "reported_train_loss": reported.TRAIN_LOSS.get(latent_dim) if on_mnist else None,
                "reported_test_loss": reported.TEST_LOSS.get(latent_dim) if on_mnist else None,
                **entry.result["metrics"],
                **extra.get(entry.fingerprint, {}),
                "seconds": entry.seconds,
            }
        )
    return rows


def transfer_rows(entries: Iterable[Entry]) -> list[Row]:
    """One row per classifier; the reported losses beside the scenario that repeats the mistake."""
    rows = []
    for entry in entries:
        spec = entry.result["spec"]
        repeats = spec["scenario"] == "as_reported"
        rows.append(
            {
                "scenario": spec["scenario"],
                "trained": spec["trained"],
                "label_budget": spec["label_budget"],
                "seed": spec["seed"],
                "reported_train_loss": (
                    reported.TRANSFER_TRAIN_LOSS[spec["trained"]] if repeats else None
                ),
                "reported_test_loss": (
                    reported.TRANSFER_TEST_LOSS[spec["trained"]] if repeats else None
                ),
                **entry.result["metrics"],
                "seconds": entry.seconds,
            }
        )
    return rows


def headline(tables: dict[str, list[Row]]) -> dict[str, float]:
    """The numbers that the parent run is compared by, one per model and classifier."""
    found = {}
    for row in tables["models"]:
        name = f"test_loss/depth_{row['depth']}/latent_{row['latent_dim']:03d}/seed_{row['seed']}"
        found[name] = row["final_test_loss"]
    for row in tables["transfer"]:
        name = (
            f"test_accuracy/{row['scenario']}/{row['trained']}/{row['label_budget']}"
            f"/seed_{row['seed']}"
        )
        found[name] = row["test_accuracy"]
    return found


def _dataset_name(groups: dict[str, list[Entry]]) -> str:
    return str(groups["data"][0].result["name"]) if groups.get("data") else ""


def _draw(folder: Path, groups: dict[str, list[Entry]], sweeps: dict[str, list[Row]]) -> None:
    """The figures that show several models together."""
    from tasks.plots import curves_figure, lines_figure, save

    trained = {_key(entry): entry for entry in groups.get("train", [])}
    for sweep, label in SWEEP_LABELS.items():
        first_seed = [row for row in sweeps[sweep] if row["seed"] == sweeps[sweep][0]["seed"]]
        if first_seed:
            models = {
                label.format(**row): trained[row["depth"], row["latent_dim"], row["seed"]]
                for row in first_seed
            }
            curves = {name: entry.result["history"] for name, entry in models.items()}
            save(curves_figure(curves), folder / f"{sweep}-curves.png")
            reconstructions = reconstruct(groups["data"][0], models)
            save(reconstructions, folder / f"{sweep}-reconstructions.png")
    rows = sweeps["latent"]

    def points(column: str) -> list[tuple[float, float | None]]:
        return [(row["latent_dim"], row.get(column)) for row in rows]

    if any("pca_test_loss" in row for row in rows):
        lines = {
            "autoencoder, test": points("final_test_loss"),
            "PCA, the linear limit": points("pca_test_loss"),
        }
        if any(row["reported_test_loss"] for row in rows):
            lines["reported, test"] = points("reported_test_loss")
        save(lines_figure(lines, "latent size", "MSE per pixel", log=True), folder / "rate.png")
    if any(row.get("mean_abs_correlation_live") is not None for row in rows):
        lines = {
            "live pairs": points("mean_abs_correlation_live"),
            "NaN as 0, as reported": points("mean_abs_correlation_nan_as_zero"),
        }
        save(lines_figure(lines, "latent size", "mean |Pearson|"), folder / "correlation.png")


def reconstruct(dataset: Entry, models: dict[str, Entry]) -> Any:
    """The first test image of each class through every model, one row each."""
    from models.trainers import apply
    from tasks.plots import reconstruction_figure

    images = load_dataset(dataset)
    originals = images.test_images[first_of_each_class(images.test_labels)]
    shown = {name: apply(load_model(entry), originals) for name, entry in models.items()}
    return reconstruction_figure(originals, shown)


def _render(
    config: dict[str, Any],
    groups: dict[str, list[Entry]],
    failures: list[str],
    tables: dict[str, list[Row]],
    sweeps: dict[str, list[Row]],
    folder: Path,
) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tasks"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["picture"] = _picture
    template = environment.get_template("report.html.j2")
    some = next(iter(groups.get("train", [])), None)
    return template.render(
        config=config,
        dataset=groups["data"][0].result if groups.get("data") else None,
        failures=failures,
        groups=groups,
        tables=tables,
        sweeps=sweeps,
        folder=folder,
        mean_image=groups["pca"][0].result["test_loss"][0] if groups.get("pca") else None,
        provenance=some.provenance if some else {},
    )


def _picture(path: Path) -> str:
    """A PNG as a data URI, empty if there is no such picture."""
    if not path.is_file():
        return ""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


report = Step(write_report, "report", settings={"config": "", "failures": "failures"})
