"""Verdicts on the written study's claims, from made measurements whose answer is known."""

import math
from itertools import pairwise

import pytest
from pandas import DataFrame, concat

from tasks.analysis.claims import add_empty_rows, judge_claims, judge_rows
from tasks.analysis.tables import Tables

# Claim, the table that decides it, what is stepped through, what is measured, where it should go.
CLAIMS = [
    ("larger_latent_lower_train_loss", "latent_sweep", "latent_dim", "final_train_loss", -1),
    ("larger_latent_lower_test_loss", "latent_sweep", "latent_dim", "final_test_loss", -1),
    ("deeper_lower_loss", "depth_sweep", "depth", "final_test_loss", -1),
    ("deeper_faster_convergence", "depth_sweep", "depth", "epochs_to_converge", -1),
    ("larger_latent_sharper_interpolation", "interpolation", "latent_dim", "sharpness", 1),
    (
        "larger_latent_more_recognizable_interpolation",
        "interpolation",
        "latent_dim",
        "confidence",
        1,
    ),
    (
        "larger_latent_interpolation_nearer_real_images",
        "interpolation",
        "latent_dim",
        "nearest_distance",
        -1,
    ),
    (
        "larger_latent_less_correlated_nan_as_zero",
        "latent_sweep",
        "latent_dim",
        "mean_abs_correlation_nan_as_zero",
        -1,
    ),
    (
        "larger_latent_less_correlated_live",
        "latent_sweep",
        "latent_dim",
        "mean_abs_correlation_live",
        -1,
    ),
    ("larger_latent_better_frozen_feature", "frozen", "latent_dim", "test_accuracy", 1),
]
FALLING, RISING = (0.9, 0.6, 0.3), (0.3, 0.6, 0.9)
SWING = 0.05  # by which seeds depart from the mean, every other one upwards


def rows(along, quantity, means, seeds=4):
    """One model per depth 1, 2, ... or latent size 2, 3, ..., and seed.

    Neighbours depart from the mean to opposite sides.
    """
    first = 2 if along == "latent_dim" else 1
    return DataFrame(
        {along: value, "seed": seed, quantity: mean * (1 + SWING * (-1) ** (seed + value))}
        for value, mean in enumerate(means, start=first)
        for seed in range(seeds)
    )


def verdicts(**tables):
    """Every verdict by name, from these tables and otherwise empty ones."""
    empty = DataFrame(columns=["scenario", "label_budget", "latent_dim", "depth", "seed"])
    names = ("latent_sweep", "depth_sweep", "interpolation", "classifiers", "frozen")
    found = judge_rows(**dict.fromkeys(names, empty) | tables)
    assert len({verdict.name for verdict in found}) == len(found) == 12
    return {verdict.name: verdict for verdict in found}


def outcome(name, table, made):
    return verdicts(**{table: made})[name].outcome


@pytest.mark.parametrize(("name", "table", "along", "quantity", "sign"), CLAIMS)
def test_a_claim_follows_its_own_measurements(name, table, along, quantity, sign):
    as_claimed, reversed_ = (RISING, FALLING) if sign > 0 else (FALLING, RISING)
    found = verdicts(**{table: rows(along, quantity, as_claimed)})
    measured = {other.name for other in found.values() if other.outcome != "not measured"}
    assert measured == {name}
    assert found[name].outcome == "confirmed"
    assert [one.n for one in found[name].comparisons] == [4, 4]
    assert outcome(name, table, rows(along, quantity, reversed_)) == "refuted"


@pytest.mark.parametrize(("name", "table", "along", "quantity", "sign"), CLAIMS)
def test_every_step_of_a_claim_counts(name, table, along, quantity, sign):
    first, middle, last = RISING if sign > 0 else FALLING
    one_step_back = rows(along, quantity, (first, last, middle))
    assert outcome(name, table, one_step_back) == "refuted"
    one_step_even = rows(along, quantity, (first, last, last))
    assert outcome(name, table, one_step_even) == "undecided"
    noise = rows(along, quantity, (middle, middle, middle))
    assert outcome(name, table, noise) == "undecided"


def test_a_step_that_no_seed_has_on_both_sides_leaves_the_claim_open():
    made = rows("latent_dim", "final_test_loss", FALLING)
    apart = made[~((made.latent_dim == made.latent_dim.max()) & (made.seed < 2))]
    apart = apart[(apart.latent_dim != sorted(made.latent_dim.unique())[1]) | (apart.seed < 2)]
    found = verdicts(latent_sweep=apart)["larger_latent_lower_test_loss"]
    assert [one.n for one in found.comparisons] == [2, 0]
    assert found.outcome == "undecided"


@pytest.mark.parametrize(("name", "table", "along", "quantity", "sign"), CLAIMS)
def test_one_seed_decides_nothing(name, table, along, quantity, sign):
    for means in (FALLING, RISING):
        assert outcome(name, table, rows(along, quantity, means, seeds=1)) == "undecided"


@pytest.mark.parametrize(("name", "table", "along", "quantity", "_sign"), CLAIMS)
def test_what_is_missing_is_not_measured(name, table, along, quantity, _sign):
    made = rows(along, quantity, FALLING)
    for without in (made[:0], made.drop(columns=quantity), made.assign(**{quantity: math.nan})):
        assert outcome(name, table, without) == "not measured"
    single_size = made[made[along] == 1]
    assert outcome(name, table, single_size) == "not measured"
    assert verdicts()[name].weakest is None


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((30, 20, 10), "confirmed"),
        ((27_543, 49_701, 28_317), "refuted"),
        ((30, 20, 20), "undecided"),
    ],
)
@pytest.mark.parametrize("seeds", [1, 10])
def test_exact_counts_need_no_seeds(counts, expected, seeds):
    made = DataFrame(
        {"depth": depth, "seed": seed, "n_parameters": count}
        for depth, count in enumerate(counts, start=1)
        for seed in range(seeds)
    )
    found = verdicts(depth_sweep=made)["deeper_fewer_parameters"]
    assert found.outcome == expected
    for one, (before, after) in zip(found.comparisons, pairwise(counts), strict=True):
        assert one.change == one.low == one.high == pytest.approx(100 * (after / before - 1))
        assert (one.effect_size, one.p_value, one.n) == (None, None, seeds)


def test_steps_go_up_in_size_and_over_those_seeds_that_have_both():
    made = DataFrame(
        [
            (20, 0, 0.1),
            (20, 1, 0.2),
            (5, 0, 0.3),
            (1, 0, 0.9),
            (1, 1, 0.8),
            (5, 2, 0.4),
            (9, 0, None),
        ],
        columns=["latent_dim", "seed", "final_test_loss"],
    )
    with_9 = verdicts(latent_sweep=made)["larger_latent_lower_test_loss"].comparisons
    assert [(one.label, one.n) for one in with_9] == [
        ("d = 1 to d = 5", 1),
        ("d = 5 to d = 9", 0),  # 9 was not measured, and is not passed over
        ("d = 9 to d = 20", 0),
    ]
    made = made[made.latent_dim != 9]
    first, second = verdicts(latent_sweep=made)["larger_latent_lower_test_loss"].comparisons
    assert (first.label, first.n) == ("d = 1 to d = 5", 1)
    assert (second.label, second.n) == ("d = 5 to d = 20", 1)
    assert second.change == pytest.approx(100 * (0.1 / 0.3 - 1))
    without_5 = verdicts(latent_sweep=made[made.latent_dim != 5])
    (only,) = without_5["larger_latent_lower_test_loss"].comparisons
    assert (only.label, only.n) == ("d = 1 to d = 20", 2)
    by_depth = rows("depth", "epochs_to_converge", (3, 2))
    (step,) = verdicts(depth_sweep=by_depth)["deeper_faster_convergence"].comparisons
    assert step.label == "depth 1 to depth 2"


def test_the_weakest_comparison_speaks_least_for_the_claim():
    falls = verdicts(latent_sweep=rows("latent_dim", "final_test_loss", (0.9, 0.5, 0.4, 0.1)))
    assert falls["larger_latent_lower_test_loss"].weakest.label == "d = 3 to d = 4"
    rises = verdicts(interpolation=rows("latent_dim", "sharpness", (0.1, 0.4, 0.5, 0.9)))
    assert rises["larger_latent_sharper_interpolation"].weakest.label == "d = 3 to d = 4"


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


@pytest.mark.parametrize(
    ("of_100", "of_all", "expected"),
    [
        ((0.7, 0.8), (0.9, 0.98), "confirmed"),
        ((0.8, 0.7), (0.9, 0.98), "refuted"),
        ((0.7, 0.7), (0.9, 0.98), "undecided"),
    ],
)
def test_fine_tuning_must_win_with_every_label_budget(of_100, of_all, expected):
    made = [classified(*of_100, budget=100), classified(*of_all)]
    found = verdicts(classifiers=concat(made))["fine_tuning_beats_frozen"]
    assert found.outcome == expected
    assert [one.label for one in found.comparisons] == [
        "100 labels: frozen to fine-tuned",
        "all labels: frozen to fine-tuned",
    ]
    changes = [one.change for one in found.comparisons]
    assert changes == pytest.approx([of_100[1] - of_100[0], of_all[1] - of_all[0]])


def test_fine_tuning_is_compared_over_those_seeds_that_have_both():
    made = classified(0.7, 0.8)
    one_seed = classified(0.7, 0.8, seeds=1)
    name = "fine_tuning_beats_frozen"
    assert outcome(name, "classifiers", one_seed) == "undecided"
    lost = made[(made.scenario != "fine_tune") | (made.seed > 0)]
    (comparison,) = verdicts(classifiers=lost)[name].comparisons
    assert comparison.n == 3
    without = made[made.scenario != "head_only"]
    assert outcome(name, "classifiers", without) == "not measured"
    apart = made[(made.seed == 0) == (made.scenario == "head_only")]
    assert outcome(name, "classifiers", apart) == "not measured"


def test_a_size_without_a_model_gets_an_empty_row():
    made = rows("latent_dim", "final_test_loss", (0.9, 0.6), seeds=2)
    found = add_empty_rows(made, "latent_dim", [2, 3, 4])
    assert found.latent_dim.tolist() == [2, 2, 3, 3, 4]
    comparisons = verdicts(latent_sweep=found)["larger_latent_lower_test_loss"].comparisons
    assert [(one.label, one.n) for one in comparisons] == [
        ("d = 2 to d = 3", 2),
        ("d = 3 to d = 4", 0),
    ]
    assert add_empty_rows(made, "latent_dim", [2, 3]) is made
    assert add_empty_rows(made[:0], "latent_dim", [2, 3]).empty  # nothing was measured at all


def test_claims_are_judged_on_a_study_s_own_tables_with_their_gaps():
    models = rows("latent_dim", "final_test_loss", FALLING).assign(depth=2)
    classifiers = classified(0.7, 0.8).assign(depth=2, latent_dim=3, trained="head")
    config = {
        "latent_dims": [2, 3, 4, 5],
        "depths": [1, 2],
        "depth_latent_dim": 2,
        "interpolation": {"latent_dims": [2]},
        "transfer": {
            "scenarios": ["head_only", "fine_tune"],
            "label_budgets": ["all"],
            "depth": 2,
            "latent_dim": 3,
            "latent_dims": [3, 4],
        },
    }
    tables = Tables(models, classifiers, DataFrame(), DataFrame(), config, 0)
    found = {verdict.name: verdict for verdict in judge_claims(tables)}
    steps = found["larger_latent_lower_test_loss"].comparisons
    assert [(one.label, one.n) for one in steps] == [
        ("d = 2 to d = 3", 4),
        ("d = 3 to d = 4", 4),
        ("d = 4 to d = 5", 0),  # 5 was asked for and is missing
    ]
    assert [one.n for one in found["deeper_lower_loss"].comparisons] == [0]
    assert [one.n for one in found["larger_latent_better_frozen_feature"].comparisons] == [0]
    assert found["fine_tuning_beats_frozen"].outcome == "confirmed"


def test_a_single_coordinate_has_no_correlation_to_compare():
    made = DataFrame(
        {"latent_dim": size, "seed": seed, "mean_abs_correlation_live": value - 0.01 * seed * size}
        for size, value in ((1, math.nan), (2, 0.8), (3, 0.4))
        for seed in range(3)
    )
    found = verdicts(latent_sweep=made)["larger_latent_less_correlated_live"]
    assert [one.label for one in found.comparisons] == ["d = 2 to d = 3"]
    assert found.outcome == "confirmed"
