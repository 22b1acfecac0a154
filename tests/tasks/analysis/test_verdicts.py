"""Verdicts on made measurements whose answer is known."""

import math
from itertools import pairwise

import numpy as np
import pytest
from pandas import DataFrame, Series, concat
from scipy import stats

from tasks.analysis.claims import (
    correlation_verdicts,
    interpolation_verdicts,
    reconstruction_verdicts,
    transfer_verdicts,
)
from tasks.analysis.verdicts import Verdict, compare

# Claim, the table that decides it, what is stepped through, what is measured, where it should go.
CLAIMS = [
    ("larger_latent_lower_train_loss", "latent_sweep", "latent_dim", "final_train_loss", -1),
    ("larger_latent_lower_test_loss", "latent_sweep", "latent_dim", "final_test_loss", -1),
    ("deeper_lower_loss", "depth_sweep", "depth", "final_test_loss", -1),
    ("deeper_faster_convergence", "depth_sweep", "depth", "epochs_to_converge", -1),
    ("larger_latent_sharper_interpolation", "walks", "latent_dim", "sharpness", 1),
    ("larger_latent_more_recognizable_interpolation", "walks", "latent_dim", "confidence", 1),
    (
        "larger_latent_interpolation_nearer_real_images",
        "walks",
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
    """Every verdict by name, from these tables and no other."""
    empty = DataFrame(columns=["scenario", "label_budget", "latent_dim", "depth", "seed"])
    of = {"latent_sweep": empty, "depth_sweep": empty, "walks": DataFrame()} | tables
    found = [
        *reconstruction_verdicts(of["latent_sweep"], of["depth_sweep"]),
        *interpolation_verdicts(of["walks"]),
        *correlation_verdicts(of["latent_sweep"]),
        *transfer_verdicts(of.get("classifiers", empty), of.get("frozen", empty)),
    ]
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


def test_of_many_steps_one_that_may_be_chance_refutes_nothing():
    few = compare("a", Series([1.0, 1, 1]), Series([1.15, 1.3, 1.2]), relative=False)
    assert 0.01 < few.p_value < 0.05
    claim = {"name": "x", "claim": "", "quantity": "", "sign": -1}
    assert Verdict(**claim, comparisons=(few,)).outcome == "refuted"
    falls = compare("b", Series([1.0, 1, 1]), Series([0.5, 0.51, 0.52]), relative=False)
    assert Verdict(**claim, comparisons=(few, *[falls] * 4)).outcome == "undecided"


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
    rises = verdicts(walks=rows("latent_dim", "sharpness", (0.1, 0.4, 0.5, 0.9)))
    assert rises["larger_latent_sharper_interpolation"].weakest.label == "d = 3 to d = 4"


def test_a_relative_change_is_the_mean_ratio_in_per_cent():
    before, after = Series([0.4, 0.4, 0.8]), Series([0.2, 0.1, 0.3])
    found = compare("loss", before, after, relative=True)
    logarithms = np.log([2, 4, 8 / 3])
    assert found.change == pytest.approx(100 * (math.exp(-logarithms.mean()) - 1))
    interval = stats.ttest_1samp(-logarithms, 0).confidence_interval(0.95)
    expected = [100 * (math.exp(end) - 1) for end in interval]
    assert [found.low, found.high] == pytest.approx(expected)
    assert (found.unit, found.n) == ("%", 3)


@pytest.mark.parametrize("relative", [True, False])
def test_effect_size_and_p_value_are_those_of_a_paired_t_test(relative):
    before, after = Series([0.4, 0.5, 0.8, 0.6]), Series([0.2, 0.45, 0.85, 0.3])
    pair = (np.log(after), np.log(before)) if relative else (after, before)
    test = stats.ttest_rel(*pair)
    found = compare("loss", before, after, relative)
    assert found.p_value == pytest.approx(test.pvalue)
    assert found.effect_size == pytest.approx(test.statistic / 2)  # by the root of n
    assert 0.05 < found.p_value < 0.5


def test_a_plain_change_keeps_its_unit():
    found = compare("accuracy", Series([0.5, 0.6]), Series([0.7, 0.9]), relative=False)
    assert (found.unit, found.change) == ("", pytest.approx(0.25))
    interval = stats.ttest_1samp([0.2, 0.3], 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(interval))


def test_changes_that_are_equal_up_to_rounding_have_no_effect_size():
    before, after = Series([0.1, 0.2, 0.5]), Series([0.3, 0.4, 0.7])
    assert len(set(after - before)) > 1
    found = compare("accuracy", before, after, relative=False)
    assert (found.effect_size, found.p_value) == (None, None)
    assert found.side(1) == "open"  # as if they were equal
    assert compare("one seed", before[:1], after[:1], relative=False).effect_size is None


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
