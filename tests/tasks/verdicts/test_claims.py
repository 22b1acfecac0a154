"""Verdicts on the written study's claims, from made measurements whose answer is known."""

import math
from itertools import pairwise

import pytest
from pandas import DataFrame, concat

from tasks.analysis.tables import Tables
from tasks.verdicts import known_spreads
from tasks.verdicts.claim_kinds import Basis, Margins
from tasks.verdicts.claims import add_empty_rows, judge_claims, judge_rows
from tasks.verdicts.known_spreads import KnownSpread

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


def verdicts(gate=GATE, linear_latent=False, basis=None, **tables):
    """Every verdict by name, from these tables and otherwise empty ones."""
    empty = DataFrame(columns=["scenario", "label_budget", "latent_dim", "depth", "seed"])
    names = (
        "latent_sweep",
        "depth_sweep",
        "convergence",
        "interpolation",
        "classifiers",
        "frozen",
    )
    options = {"gate": gate, "linear_latent": linear_latent, "basis": basis}
    found = judge_rows(**dict.fromkeys(names, empty) | tables, **options)
    assert len({verdict.name for verdict in found}) == len(found) == 22
    return {verdict.name: verdict for verdict in found}


def outcome(name, table, made):
    return verdicts(**{table: made})[name].outcome


def steps_of(verdict):
    return verdict.every_step.comparisons


@pytest.mark.parametrize(("name", "table", "along", "quantity", "sign"), CLAIMS)
def test_a_claim_follows_its_own_measurements(name, table, along, quantity, sign):
    as_claimed, reversed_ = (RISING, FALLING) if sign > 0 else (FALLING, RISING)
    found = verdicts(**{table: rows(along, quantity, as_claimed)})
    measured = {other.name for other in found.values() if other.outcome != "not measured"}
    assert measured == {name}
    assert found[name].outcome == "confirmed"
    assert found[name].trend.outcome == found[name].every_step.outcome == "confirmed"
    assert [one.n for one in steps_of(found[name])] == [4, 4]
    assert found[name].page_p_value < 0.01
    assert outcome(name, table, rows(along, quantity, reversed_)) == "refuted"


@pytest.mark.parametrize(("name", "table", "along", "quantity", "sign"), CLAIMS)
def test_one_step_refutes_every_step_and_not_the_trend(name, table, along, quantity, sign):
    first, middle, last = RISING if sign > 0 else FALLING
    one_step_back = verdicts(**{table: rows(along, quantity, (first, last, middle))})[name]
    assert (one_step_back.outcome, one_step_back.every_step.outcome) == ("confirmed", "refuted")
    refuting = one_step_back.every_step.decisive
    assert refuting == steps_of(one_step_back)[1]
    one_step_even = verdicts(**{table: rows(along, quantity, (first, last, last))})[name]
    assert (one_step_even.outcome, one_step_even.every_step.outcome) == ("confirmed", "undecided")
    noise = verdicts(**{table: rows(along, quantity, (middle, middle, middle))})[name]
    assert noise.every_step.outcome in ("undecided", "equivalent")
    assert noise.outcome in ("undecided", "equivalent")


def test_levels_may_have_different_seeds_but_not_none():
    made = rows("latent_dim", "final_test_loss", FALLING)
    sizes = sorted(made.latent_dim.unique())
    apart = made[~((made.latent_dim == sizes[2]) & (made.seed < 2))]
    apart = apart[(apart.latent_dim != sizes[1]) | (apart.seed < 2)]
    found = verdicts(latent_sweep=apart)["larger_latent_lower_test_loss"]
    assert [one.n for one in steps_of(found)] == [2, 2]
    without = apart.assign(
        final_test_loss=apart.final_test_loss.where(apart.latent_dim != sizes[1])
    )
    found = verdicts(latent_sweep=without)["larger_latent_lower_test_loss"]
    assert [one.n for one in steps_of(found)] == [0, 0]
    assert found.outcome in ("undecided", "not measured")


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
    assert verdicts()[name].readings == []


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
    ("passes", "expected", "reason"),
    [
        (True, "confirmed", ""),
        (False, "not measurable", "it does not order the controls on this dataset"),
        (None, "not measurable", "its controls were not measured"),
    ],
)
def test_a_measure_that_fails_its_controls_decides_nothing(passes, expected, reason):
    made = rows("latent_dim", "kid", FALLING)
    found = verdicts(gate={"kid": passes}, interpolation=made)["larger_latent_more_realistic_kid"]
    assert (found.outcome, found.reason) == (expected, reason)
    missing = verdicts(gate={"kid": passes})["larger_latent_more_realistic_kid"]
    assert missing.outcome == "not measured"


def test_a_linear_latent_has_no_correlation_of_its_own():
    for name, table, _, quantity, _ in CLAIMS:
        if table == "latent_sweep":
            made = rows("latent_dim", quantity, FALLING)
            found = verdicts(linear_latent=True, latent_sweep=made)[name].outcome
            correlated = quantity.startswith(("mean_abs", "effective"))
            assert (found == "not measurable") == correlated


def test_margins_are_those_of_the_study_or_of_the_claim():
    margins = Margins(relative=3.0, accuracy=0.7)
    found = verdicts(basis=Basis(margins=margins))
    shown = {name: (one.every_step.margin, one.every_step.unit) for name, one in found.items()}
    assert shown["larger_latent_lower_test_loss"] == (3.0, "%")
    assert shown["fine_tuning_beats_frozen"] == (0.7, "points")
    assert shown["larger_latent_better_frozen_feature"] == (0.7, "points")
    assert shown["larger_latent_less_correlated_live"] == (0.01, "")
    assert verdicts()["larger_latent_lower_test_loss"].every_step.margin == 2.0


def test_a_single_seed_takes_the_spread_that_is_known(monkeypatch):
    name = "larger_latent_lower_test_loss"
    made = rows("latent_dim", "final_test_loss", FALLING, seeds=1)
    assert verdicts(latent_sweep=made)[name].seeds_needed is None
    monkeypatch.setattr(known_spreads, "KNOWN", {("mnist", name): KnownSpread(0.2, 0.4)})
    found = verdicts(latent_sweep=made, basis=Basis(dataset="mnist"))[name]
    assert found.seeds_needed == 4
    assert found.every_step.seeds_needed > 4


def test_each_claim_says_whose_it_is():
    assert {name for name, one in verdicts().items() if one.source == "ours"} == OURS


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
    labels = [f"{budget} labels: frozen to fine-tuned" for budget in ("all", 100)]
    assert [one.label for one in steps_of(largest)] == labels[:1]
    assert [one.label for one in steps_of(every)] == labels
    gains = [100 * (after - before) for before, after in (of_all, of_100)]
    assert [one.change for one in steps_of(every)] == pytest.approx(gains)
    assert {one.unit for one in steps_of(every)} == {"points"}


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


def test_a_size_without_a_model_gets_an_empty_row():
    made = rows("latent_dim", "final_test_loss", (0.9, 0.6), seeds=2)
    found = add_empty_rows(made, "latent_dim", [2, 3, 4])
    assert found.latent_dim.tolist() == [2, 2, 3, 3, 4]
    comparisons = verdicts(latent_sweep=found)[
        "larger_latent_lower_test_loss"
    ].every_step.comparisons
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
        "margins": {"relative": 1.0, "accuracy": 0.5},
        "dataset": {"name": "made"},
        "training": {"latent_activation": "relu"},
        "interpolation": {"latent_dims": [2]},
        "transfer": {
            "scenarios": ["head_only", "fine_tune"],
            "label_budgets": ["all"],
            "depth": 2,
            "latent_dim": 3,
            "latent_dims": [3, 4],
        },
    }
    tables = Tables(models, classifiers, DataFrame(), DataFrame(), models[:0], config, 0)
    found = {verdict.name: verdict for verdict in judge_claims(tables)}
    steps = found["larger_latent_lower_test_loss"].every_step.comparisons
    assert [(one.label, one.n) for one in steps] == [
        ("d = 2 to d = 3", 4),
        ("d = 3 to d = 4", 4),
        ("d = 4 to d = 5", 0),  # 5 was asked for and is missing
    ]
    assert [one.n for one in steps_of(found["deeper_lower_test_loss"])] == [0]
    assert found["larger_latent_lower_test_loss"].every_step.margin == 1.0
    assert [one.n for one in steps_of(found["larger_latent_better_frozen_feature"])] == [0]
    assert found["fine_tuning_beats_frozen"].outcome == "confirmed"


def test_a_single_coordinate_has_no_correlation_to_compare():
    made = DataFrame(
        {"latent_dim": size, "seed": seed, "mean_abs_correlation_live": value - 0.01 * seed * size}
        for size, value in ((1, math.nan), (2, 0.8), (3, 0.4))
        for seed in range(3)
    )
    found = verdicts(latent_sweep=made)["larger_latent_less_correlated_live"]
    assert [one.label for one in steps_of(found)] == ["d = 2 to d = 3"]
    assert found.outcome == "confirmed"
