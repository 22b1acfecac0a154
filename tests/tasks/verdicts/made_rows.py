"""Made measurements, one row per model, and the verdicts that follow from them."""

import math

from pandas import DataFrame

from tasks.analysis.realism_gate import GateResult
from tasks.analysis.tables import Tables
from tasks.verdicts.claim import Margins
from tasks.verdicts.claims import judge_claims

# Claim, the table that decides it, what is stepped through, what is measured, where it should go.
CLAIMS = [
    ("larger_latent_lower_train_loss", "latent_sweep", "latent_dim", "evaluated_train_loss", -1),
    ("larger_latent_lower_test_loss", "latent_sweep", "latent_dim", "final_test_loss", -1),
    ("deeper_lower_train_loss", "depth_sweep", "depth", "evaluated_train_loss", -1),
    ("deeper_lower_test_loss", "depth_sweep", "depth", "final_test_loss", -1),
    ("deeper_fewer_updates", "convergence", "depth", "updates_to_common_loss", -1),
    ("deeper_fewer_operations", "convergence", "depth", "flops_to_common_loss", -1),
    ("deeper_smaller_area_under_log_loss", "convergence", "depth", "area_under_log_loss", -1),
    *(
        (name, "interpolation", "latent_dim", measure, sign)
        for name, measure, sign in (
            ("larger_latent_sharper_interpolation", "sharpness_distance", -1),
            ("larger_latent_sharper_between_its_ends", "sharpness_distance_beyond_ends", -1),
            ("larger_latent_more_realistic_kid", "kid", -1),
            ("larger_latent_more_realistic_precision", "precision", 1),
            ("larger_latent_more_realistic_recall", "recall", 1),
            ("larger_latent_more_recognizable_interpolation", "confidence", 1),
            ("larger_latent_interpolation_nearer_real_images", "nearest_distance", -1),
        )
    ),
    *(
        (name, "latent_sweep", "latent_dim", measure, sign)
        for name, measure, sign in (
            ("larger_latent_less_correlated_nan_as_zero", "mean_abs_correlation_nan_as_zero", -1),
            ("larger_latent_less_correlated_live", "mean_abs_correlation_live", -1),
            ("larger_latent_larger_share_used", "effective_rank_share", 1),
        )
    ),
    ("larger_latent_better_frozen_feature", "frozen", "latent_dim", "test_accuracy", 1),
]
# claims about other tables: numbers of parameters, pairs of scenarios
OTHERS = {
    "deeper_fewer_parameters",
    "depth_3_fewer_parameters_lower_loss",
    "fine_tuning_beats_frozen",
    "fine_tuning_beats_frozen_with_every_budget",
}
OURS = {
    "larger_latent_sharper_between_its_ends",
    "larger_latent_larger_share_used",
    "fine_tuning_beats_frozen_with_every_budget",
    "larger_latent_better_frozen_feature",
}
GATE = dict.fromkeys(
    ["sharpness_distance", "kid", "precision", "recall", "confidence", "nearest_distance"], True
)
FALLING, RISING = (0.9, 0.6, 0.3), (0.3, 0.6, 0.9)
SWING = 0.05  # the most by which seeds depart from the mean


def rows(along, quantity, means, seeds=4):
    """One model per depth 1, 2, ... or latent size 2, 3, ..., and seed."""
    first = 2 if along == "latent_dim" else 1
    return DataFrame(
        {
            along: value,
            "seed": seed,
            quantity: mean * (1 + SWING * math.sin(2 * seed + 3 * value * value)),
        }
        for value, mean in enumerate(means, start=first)
        for seed in range(seeds)
    )


def study_config(**more):
    """The settings of a study of depths with which claims are judged."""
    return {
        "latent_dims": [2, 3, 4],
        "depths": [1, 2, 3],
        "depth_latent_dim": 2,
        "margins": Margins().model_dump(),
        "name": "made",
        "training": {"latent_activation": "relu"},
        "interpolation": {"latent_dims": [2, 3, 4]},
        "transfer": {
            "scenarios": ["head_only", "fine_tune", "from_scratch", "as_reported"],
            "label_budgets": ["all"],
            "depth": 3,
            "latent_dim": 20,
            "latent_dims": None,
        },
    } | more


def tables_of(gate=GATE, config=None, **tables):
    """Tables of a study with one of these parts, as the report's entries would fill them."""
    config, empty = config or study_config(), DataFrame()
    levels = {
        column: sorted(
            {int(one) for made in tables.values() if column in made for one in made[column]}
        )
        for column in ("latent_dim", "depth")
    }
    transfer = dict(config["transfer"])
    if "classifiers" in tables:
        transfer["label_budgets"] = list(dict.fromkeys(tables["classifiers"].label_budget))
    config |= {"transfer": transfer}
    if levels["latent_dim"]:
        sizes = levels["latent_dim"]
        config |= {"latent_dims": sizes, "interpolation": {"latent_dims": sizes}}
    if levels["depth"]:
        config |= {"depths": levels["depth"]}
    of_sweep = {"architecture": "depth 2", "depth": 2, "objective": "mse"}
    of_depths = {"latent_dim": config["depth_latent_dim"], "objective": "mse"}
    models = empty
    if "latent_sweep" in tables:
        models = tables["latent_sweep"].assign(**of_sweep)
    if "depth_sweep" in tables:
        made = tables["depth_sweep"]
        models = made.assign(**of_depths, architecture=made.depth.map("depth {}".format))
    classified = empty
    if "classifiers" in tables:
        classified = tables["classifiers"].assign(architecture="depth 3", latent_dim=20)
    if "frozen" in tables:
        classified = tables["frozen"].assign(
            architecture="depth 2", scenario="head_only", label_budget="all"
        )
    found = Tables(
        models,
        classified,
        tables.get("interpolation", empty),
        tables.get("convergence", empty),
        empty,
        config,
        0,
    )
    return found._replace(
        interpolation_controls={
            name: GateResult(passes, {}, ()) for name, passes in gate.items() if passes is not None
        }
    )


def verdicts(gate=GATE, config=None, **tables):
    """Every verdict by name, from these tables and otherwise empty ones."""
    found = judge_claims(tables_of(gate, config, **tables))
    assert len({verdict.name for verdict in found}) == len(found) == len(CLAIMS) + len(OTHERS)
    return {verdict.name: verdict for verdict in found}


def outcome(name, table, made):
    return verdicts(**{table: made})[name].outcome


def steps_of(verdict):
    return verdict.every_step.comparisons


def classified(frozen, fine_tuned, budget="all", seeds=4):
    """Classifiers of both scenarios, and those that the comparison must not see."""
    means = {"head_only": frozen, "fine_tune": fine_tuned, "from_scratch": 0.5}
    made = [
        {"scenario": name, "label_budget": budget, "seed": seed, "test_accuracy": mean + swing}
        for name, mean in means.items()
        for seed in range(seeds)
        for swing in [0.01 * (-1) ** (seed + (name == "head_only"))]
    ]
    reported = {"scenario": "as_reported", "label_budget": budget, "seed": 0, "test_accuracy": 0.1}
    return DataFrame([*made, reported, reported])
