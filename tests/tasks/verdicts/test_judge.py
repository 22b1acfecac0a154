"""Each claim compares what it is about, on made measurements whose answer is known."""

import math
from itertools import pairwise

import pytest
from pandas import DataFrame, concat

from tests.tasks.verdicts.made_rows import (
    CLAIMS,
    FALLING,
    RISING,
    classified,
    outcome,
    rows,
    steps_of,
    verdicts,
)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((30, 20, 10), "confirmed"),
        ((27_543, 49_701, 28_317), "refuted"),
        ((30, 20, 20), "refuted"),  # as many are not fewer
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
    assert (found.outcome, found.every_step.outcome) == (expected, expected)
    assert (found.trend, found.page_p_value) == (None, None)
    for one, (before, after) in zip(steps_of(found), pairwise(counts), strict=True):
        assert one.change == one.low == one.high == pytest.approx(100 * (after / before - 1))
        assert (one.effect_size, one.p_value, one.n) == (None, None, seeds)


@pytest.mark.parametrize(
    ("counts", "losses", "seeds", "expected"),
    [
        ((9, 49_701, 28_317), (9, 0.6, 0.3), 4, "confirmed"),
        ((9, 49_701, 28_317), (9, 0.3, 0.6), 4, "refuted"),
        ((9, 20_000, 28_317), (9, 0.6, 0.3), 4, "refuted"),
        ((9, 49_701, 28_317), (9, 0.6, 0.3), 1, "undecided"),
        ((9, 49_701), (9, 0.6), 4, "not measured"),
    ],
)
def test_depth_3_is_compared_with_depth_2_in_parameters_and_loss(counts, losses, seeds, expected):
    made = rows("depth", "final_test_loss", losses, seeds)
    made["n_parameters"] = [counts[depth - 1] for depth in made.depth]
    found = verdicts(depth_sweep=made)["depth_3_fewer_parameters_lower_loss"]
    assert (found.outcome, found.trend, found.reachable) == (expected, None, None)
    edge = made.assign(reachable_test_loss=0.5 + 0.01 * (-1) ** made.seed * made.depth)
    other = verdicts(depth_sweep=edge)["depth_3_fewer_parameters_lower_loss"]
    assert other.outcome == expected
    assert other.edge_artefact == (expected == "confirmed")
    if len(counts) == 3:
        assert found.every_step.corrected_confidence == 0.95  # of the loss alone
        labels = ["parameters, depth 2 to depth 3", "test loss, depth 2 to depth 3"]
        assert [one.label for one in steps_of(found)] == labels


LOSS_CLAIMS = [claim for claim in CLAIMS if claim[3].endswith(("train_loss", "test_loss"))]


@pytest.mark.parametrize(("name", "table", "along", "quantity", "_sign"), LOSS_CLAIMS)
def test_a_loss_is_judged_on_all_pixels_and_on_reachable_ones(name, table, along, quantity, _sign):
    part = quantity.split("_")[1]
    edge = rows(along, quantity, FALLING)
    edge[f"reachable_{part}_loss"] = rows(along, "loss", RISING).loss
    found = verdicts(**{table: edge})[name]
    assert (found.outcome, found.reachable.outcome) == ("confirmed", "refuted")
    assert found.reason == "confirmed on all pixels only: an artefact of the edge"
    assert verdicts(**{table: rows(along, quantity, FALLING)})[name].reachable is None


def test_a_step_that_only_the_edge_makes_is_an_artefact_although_the_trend_holds():
    made = rows("depth", "final_test_loss", FALLING)
    first, middle, _ = FALLING
    flat = rows("depth", "loss", (first, middle, middle)).loss
    found = verdicts(depth_sweep=made.assign(reachable_test_loss=flat))["deeper_lower_test_loss"]
    assert (found.outcome, found.reachable.outcome) == ("confirmed", "confirmed")
    assert (found.every_step.outcome, found.reachable.every_step.outcome) == (
        "confirmed",
        "undecided",
    )
    expected = "every step is confirmed on all pixels only: perhaps an artefact of the edge"
    assert expected in found.reason
    assert found.edge_artefact


@pytest.mark.parametrize(
    ("failed", "expected", "reason"),
    [
        ({}, "confirmed", ""),
        ({2: 1}, "confirmed", "failed trainings: 1 of 4 at d = 2"),
        ({2: 4, 3: 2}, "confirmed", "failed trainings: 4 of 4 at d = 2, 2 of 4 at d = 3"),
        ({2: 4, 3: 4}, "not measurable", "all trainings failed at d = 2, d = 3"),
    ],
)
def test_failed_trainings_are_named_and_two_levels_of_them_not_compared(failed, expected, reason):
    made = rows("latent_dim", "final_test_loss", FALLING)
    made["failed"] = made.seed < made.latent_dim.map(lambda size: failed.get(size, 0))
    found = verdicts(latent_sweep=made)["larger_latent_lower_test_loss"]
    assert (found.outcome, found.reason) == (expected, reason)
    by_depth = made.rename(columns={"latent_dim": "depth"}).assign(n_parameters=9)
    counted = verdicts(depth_sweep=by_depth)["depth_3_fewer_parameters_lower_loss"]
    assert (counted.outcome == "not measurable") == (expected == "not measurable")


def test_counts_are_compared_whatever_was_trained():
    made = rows("depth", "final_test_loss", FALLING).assign(failed=True)
    made["n_parameters"] = 100 * made.depth
    found = verdicts(depth_sweep=made)
    assert found["deeper_fewer_parameters"].outcome == "refuted"
    assert found["deeper_lower_test_loss"].outcome == "not measurable"
    assert found["depth_3_fewer_parameters_lower_loss"].outcome == "not measurable"


@pytest.mark.parametrize("column", ["updates_to_common_loss", "flops_to_common_loss"])
def test_a_loss_that_a_network_has_from_the_start_says_nothing_of_convergence(column):
    made = rows("depth", column, FALLING)
    name = "deeper_fewer_updates" if column.startswith("updates") else "deeper_fewer_operations"
    assert outcome(name, "convergence", made) == "confirmed"
    made.loc[made.seed == made.depth, column] = 0
    found = verdicts(convergence=made)[name]
    assert found.outcome == "not measurable"
    assert found.reason == "a network has the common loss before its first update"


def test_all_changes_of_a_quantity_have_one_unit():
    made = rows("latent_dim", "final_test_loss", FALLING)
    made.loc[made.index[-1], "final_test_loss"] = 0
    found = verdicts(latent_sweep=made)["larger_latent_lower_test_loss"]
    assert {one.unit for one in (*steps_of(found), *found.trend.comparisons)} == {""}


def test_steps_go_up_in_size_over_all_seeds():
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
    with_9 = verdicts(latent_sweep=made)["larger_latent_lower_test_loss"].every_step.comparisons
    assert [(one.label, one.n) for one in with_9] == [
        ("d = 1 to d = 5", 2),
        ("d = 5 to d = 9", 0),  # 9 was not measured, and is not passed over
        ("d = 9 to d = 20", 0),
    ]
    made = made[made.latent_dim != 9]
    first, second = verdicts(latent_sweep=made)[
        "larger_latent_lower_test_loss"
    ].every_step.comparisons
    assert (first.label, first.n) == ("d = 1 to d = 5", 2)
    assert (second.label, second.n) == ("d = 5 to d = 20", 2)
    ratio = math.sqrt(0.1 * 0.2 / (0.3 * 0.4))  # of geometric means
    assert second.change == pytest.approx(100 * (ratio - 1))
    without_5 = verdicts(latent_sweep=made[made.latent_dim != 5])
    (only,) = without_5["larger_latent_lower_test_loss"].every_step.comparisons
    assert (only.label, only.n) == ("d = 1 to d = 20", 2)
    by_depth = rows("depth", "final_test_loss", (3, 2))
    found = verdicts(depth_sweep=by_depth)["deeper_lower_test_loss"]
    assert [step.label for step in steps_of(found)] == ["depth 1 to depth 2"]
    assert found.trend is None  # two levels are one step


def test_the_step_that_speaks_least_for_the_claim_decides():
    falls = verdicts(latent_sweep=rows("latent_dim", "final_test_loss", (0.9, 0.5, 0.4, 0.1)))
    found = falls["larger_latent_lower_test_loss"].every_step
    assert found.decisive.label == "d = 3 to d = 4"
    rises = verdicts(interpolation=rows("latent_dim", "precision", (0.1, 0.4, 0.5, 0.9)))
    found = rises["larger_latent_more_realistic_precision"].every_step
    assert found.decisive.label == "d = 3 to d = 4"


@pytest.mark.parametrize(
    ("of_100", "of_all", "with_all", "with_every"),
    [
        ((0.7, 0.8), (0.9, 0.98), "confirmed", "confirmed"),
        ((0.8, 0.7), (0.9, 0.98), "confirmed", "refuted"),
        ((0.7, 0.7), (0.9, 0.98), "confirmed", "undecided"),
        ((0.7, 0.8), (0.98, 0.9), "refuted", "refuted"),
    ],
)
def test_fine_tuning_must_win_with_all_labels_and_for_one_claim_with_every_budget(
    of_100, of_all, with_all, with_every
):
    found = verdicts(classifiers=concat([classified(*of_all), classified(*of_100, budget=100)]))
    largest = found["fine_tuning_beats_frozen"]
    every = found["fine_tuning_beats_frozen_with_every_budget"]
    assert (largest.outcome, every.outcome) == (with_all, with_every)
    labels = [f"{budget} labels: frozen encoder to fine-tuned" for budget in ("all", 100)]
    assert [one.label for one in steps_of(largest)] == labels[:1]
    assert [one.label for one in steps_of(every)] == labels
    gains = [100 * (after - before) for before, after in (of_all, of_100)]
    assert [one.change for one in steps_of(every)] == pytest.approx(gains)
    assert {one.unit for one in steps_of(every)} == {"points"}


def test_one_budget_makes_one_claim():
    found = verdicts(classifiers=classified(0.7, 0.8))
    assert found["fine_tuning_beats_frozen"].outcome == "confirmed"
    assert found["fine_tuning_beats_frozen_with_every_budget"].outcome == "not measured"


def test_without_all_labels_the_largest_budget_counts():
    made = [classified(0.7, 0.8, budget=100), classified(0.9, 0.8, budget=1000)]
    found = verdicts(classifiers=concat(made))["fine_tuning_beats_frozen"]
    assert (found.outcome, steps_of(found)[0].label[:4]) == ("refuted", "1000")


def test_fine_tuning_is_compared_over_those_seeds_that_have_both():
    made = classified(0.7, 0.8)
    one_seed = classified(0.7, 0.8, seeds=1)
    name = "fine_tuning_beats_frozen"
    assert outcome(name, "classifiers", one_seed) == "undecided"
    lost = made[(made.scenario != "fine_tune") | (made.seed > 0)]
    (comparison,) = steps_of(verdicts(classifiers=lost)[name])
    assert comparison.n == 3
    without = made[made.scenario != "head_only"]
    assert outcome(name, "classifiers", without) == "not measured"
    apart = made[(made.seed == 0) == (made.scenario == "head_only")]
    assert outcome(name, "classifiers", apart) == "not measured"
