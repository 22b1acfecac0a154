"""Means over seeds: the rows of the report's tables and the headline metrics in MLflow."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from models.measures.glossary import MEASURES, measured_by
from tasks.analysis import realism_gate
from tasks.analysis.intervals import estimate
from tasks.analysis.reproduction import reproduction
from tasks.analysis.tables import CONVERGENCE_COLUMNS, DEFAULT_OBJECTIVE, Row, Tables
from tasks.cache.identity import in_metric_name

if TYPE_CHECKING:
    from pandas import DataFrame

LOSSES = ["final_train_loss", "final_test_loss", "reported_train_loss", "reported_test_loss"]
MODEL_COLUMNS = [
    *LOSSES,
    "final_validation_loss",
    *(one.name for one in MEASURES if "train" not in one.steps),
]
CORRELATION_COLUMNS = [
    "dead_units",
    "constant_units",
    *(one.name for one in measured_by("correlate")),
]
REPRESENTATION_COLUMNS = [one.name for one in measured_by("probe")]
CLASSIFIER_COLUMNS = [*LOSSES, "test_accuracy"]
INTERPOLATION_COLUMNS = [
    f"{images}{measure}{part}"
    for measure in realism_gate.MEASURES
    for images, part in (
        ("", ""),
        ("reconstructed_", ""),
        ("", "_beyond_ends"),
        ("", "_judge_sd"),
    )
]


# their names in MLflow, and their columns
MODEL_METRICS = {one.headline: one.name for one in MEASURES if one.headline}


def means_over_seeds(rows: "DataFrame", by: Sequence[str], columns: Sequence[str]) -> list[Row]:
    """One row per combination of values in ``by``: the Estimate of each column over seeds.

    A column that was not measured is None. ``runs`` holds pairs of a seed and its entry's key.
    ``train_reproduction`` and ``test_reproduction`` say whether a published loss is reproduced.
    """
    found: list[Row] = []
    if not len(rows):
        return found
    for values, chosen in rows.groupby(list(by), sort=False):
        row: Row = dict(zip(by, values, strict=True))
        for column in columns:
            known = chosen[column].dropna() if column in chosen else chosen.seed[:0]
            row[column] = estimate(known) if len(known) else None
        for part in ("train", "test"):
            if f"reported_{part}_loss" in columns:
                reported = row[f"reported_{part}_loss"]
                losses = chosen[f"final_{part}_loss"].dropna() if reported else ()
                row[f"{part}_reproduction"] = reported and reproduction(losses, reported.mean)
        if "key" in chosen:
            row["runs"] = list(zip(chosen.seed, chosen.key, strict=True))
        found.append(row)
    return found


def own_measures(tables: Tables) -> list[str]:
    """The names of the study's own measures."""
    return list(tables.config.get("measures") or {})


def headline_metrics(tables: Tables) -> dict[str, float]:
    """The metrics that MLflow compares invocations by: means over seeds and each seed's values.

    The names are those of MLflow, like ``test_loss/depth_2/latent_020/seed_0``.
    """
    found: dict[str, float] = {}
    models, scenarios = tables.models, tables.scenarios
    of_models = MODEL_METRICS | {name: name for name in own_measures(tables)}
    for choice, rows in models.groupby(["architecture", "latent_dim", "objective"], sort=False):
        architecture, latent_dim, objective = choice
        place = place_in_metric(str(architecture), int(str(latent_dim)), str(objective))
        for name, column in of_models.items():
            measured = rows.dropna(subset=[column]) if column in rows else rows[:0]
            if len(measured):
                found |= _metrics_over_seeds(f"{name}/{place}", measured, column)
    for choice, rows in scenarios.groupby(["scenario", "trained", "label_budget"], sort=False):
        name = "test_accuracy/{}/{}/{}".format(*choice)
        found |= _metrics_over_seeds(name, rows, "test_accuracy")
    for size, rows in tables.frozen.groupby("latent_dim"):
        name = f"test_accuracy/frozen/latent_{size:03d}"
        found |= _metrics_over_seeds(name, rows, "test_accuracy")
    return found


def place_in_metric(architecture: str, latent_dim: int, objective: str) -> str:
    """A model in the name of a metric: ``depth_2/latent_020``, ``small/latent_064/vae4``."""
    place = f"{in_metric_name(architecture)}/latent_{latent_dim:03d}"
    return place if objective == DEFAULT_OBJECTIVE else f"{place}/{objective}"


def _metrics_over_seeds(name: str, rows: "DataFrame", column: str) -> dict[str, float]:
    """A column's mean over seeds, the ends of its interval, and each seed's value."""
    over_seeds = estimate(rows[column])
    found = {name: over_seeds.mean}
    if over_seeds.low is not None and over_seeds.high is not None:
        found |= {f"{name}/ci95_low": over_seeds.low, f"{name}/ci95_high": over_seeds.high}
    values = zip(rows.seed, rows[column], strict=True)
    return found | {f"{name}/seed_{seed}": value for seed, value in values}


def summaries(tables: Tables) -> dict[str, list[Row]]:
    """The rows of each table of the report, as means over seeds."""
    shape = ["architecture", "objective", "latent_dim", "n_parameters"]
    scenario = ["scenario", "trained", "label_budget"]
    size = ["latent_dim"]
    return {
        "latent": means_over_seeds(tables.latent_sweep, shape, MODEL_COLUMNS),
        "reported_recipe": means_over_seeds(tables.reported_latent_sweep, shape, LOSSES),
        "depth": means_over_seeds(tables.architecture_sweep, shape, MODEL_COLUMNS),
        "objective": means_over_seeds(tables.objective_sweep, shape, MODEL_COLUMNS),
        "convergence": means_over_seeds(tables.convergence, ["depth"], CONVERGENCE_COLUMNS[2:]),
        "interpolation": means_over_seeds(tables.interpolation, size, INTERPOLATION_COLUMNS),
        "correlation": means_over_seeds(tables.latent_sweep, size, CORRELATION_COLUMNS),
        "representation": means_over_seeds(
            tables.representation, shape, [*REPRESENTATION_COLUMNS, *own_measures(tables)]
        ),
        "transfer": means_over_seeds(tables.scenarios, scenario, CLASSIFIER_COLUMNS),
        "frozen": means_over_seeds(tables.frozen, size, CLASSIFIER_COLUMNS),
    }
