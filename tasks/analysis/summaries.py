"""Means over seeds: the rows of the report and the headline numbers in MLflow."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.analysis.intervals import estimate
from tasks.analysis.tables import Row, Tables

if TYPE_CHECKING:
    from pandas import DataFrame


def over_seeds(rows: "DataFrame", by: Sequence[str], columns: Sequence[str]) -> list[Row]:
    """One row per choice: the mean of each column over seeds, with its interval.

    A column that was not measured is None. ``runs`` pairs every seed with the key of its entry.
    """
    found: list[Row] = []
    if not len(rows):
        return found
    for values, chosen in rows.groupby(list(by), sort=False):
        row: Row = dict(zip(by, values, strict=True))
        for column in columns:
            known = chosen[column].dropna() if column in chosen else chosen.seed[:0]
            row[column] = estimate(known) if len(known) else None
        if "key" in chosen:
            row["runs"] = list(zip(chosen.seed, chosen.key, strict=True))
        found.append(row)
    return found


def headline(tables: Tables) -> dict[str, float]:
    """The numbers that invocations are compared by: every model's, and means over seeds."""
    found: dict[str, float] = {}
    models, scenarios = tables.models, tables.scenarios
    for choice, rows in models.groupby(["depth", "latent_dim"], sort=False):
        for part in ("train", "test"):
            name = f"{part}_loss/depth_{{}}/latent_{{:03d}}".format(*choice)
            found |= _numbers(name, rows, f"final_{part}_loss")
    for choice, rows in scenarios.groupby(["scenario", "trained", "label_budget"], sort=False):
        found |= _numbers("test_accuracy/{}/{}/{}".format(*choice), rows, "test_accuracy")
    for size, rows in tables.frozen.groupby("latent_dim"):
        found |= _numbers(f"test_accuracy/frozen/latent_{size:03d}", rows, "test_accuracy")
    return found


def _numbers(name: str, rows: "DataFrame", column: str) -> dict[str, float]:
    """A column's mean over seeds, its interval, and each seed's value."""
    over = estimate(rows[column])
    found = {name: over.mean}
    if over.low is not None and over.high is not None:
        found |= {f"{name}/ci95_low": over.low, f"{name}/ci95_high": over.high}
    of_seed = zip(rows.seed, rows[column], strict=True)
    return found | {f"{name}/seed_{seed}": value for seed, value in of_seed}


CURVES = ["final_train_loss", "final_test_loss", "reported_train_loss", "reported_test_loss"]
MODEL_COLUMNS = [*CURVES, "pca_test_loss", "dead_units", "epochs_to_converge"]
CORRELATIONS = ["dead_units", "mean_abs_correlation_nan_as_zero", "mean_abs_correlation_live"]
CLASSIFIER_COLUMNS = [*CURVES, "test_accuracy", "first_gradient_norm", "last_gradient_norm"]
MEASURES = ["sharpness", "confidence", "nearest_distance"]


def summaries(tables: Tables) -> dict[str, list[dict[str, Any]]]:
    """What the page shows: means over seeds."""
    shape = ["depth", "latent_dim", "n_parameters"]
    scenario = ["scenario", "trained", "label_budget"]
    walked = tables.interpolation
    controls = [f"{of}_{measure}" for of in ("pixel", "real") for measure in MEASURES]
    return {
        "latent": over_seeds(tables.latent_sweep, shape, MODEL_COLUMNS),
        "depth": over_seeds(tables.depth_sweep, shape, MODEL_COLUMNS),
        "walks": over_seeds(walked, ["latent_dim"], [*MEASURES, *controls]) if len(walked) else [],
        "correlation": over_seeds(tables.latent_sweep, ["latent_dim"], CORRELATIONS),
        "transfer": over_seeds(tables.scenarios, scenario, CLASSIFIER_COLUMNS),
        "frozen": over_seeds(tables.frozen, ["latent_dim"], CLASSIFIER_COLUMNS),
        "ablation": over_seeds(
            tables.ablation, ["output", "optimizer", "trained"], CLASSIFIER_COLUMNS
        ),
    }
