"""Verdicts on the written study's claims, from made measurements whose answer is known."""

import math

import pytest
from pandas import DataFrame

from tasks.analysis.tables import Tables
from tasks.verdicts import known_spreads
from tasks.verdicts.claims import judge_claims
from tasks.verdicts.known_spreads import Measured
from tests.tasks.verdicts.made_rows import (
    CLAIMS,
    FALLING,
    OURS,
    RISING,
    classified,
    outcome,
    rows,
    steps_of,
    study_config,
    verdicts,
)


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
            config = study_config(training={"latent_activation": "linear"})
            found = verdicts(config=config, latent_sweep=made)[name].outcome
            correlated = quantity.startswith(("mean_abs", "effective"))
            assert (found == "not measurable") == correlated


def test_margins_are_those_of_the_study_or_of_the_claim():
    found = verdicts(config=study_config(margins={"relative": 3.0, "accuracy": 0.7}))
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
    monkeypatch.setattr(known_spreads, "KNOWN", {("mnist", name): Measured(20, 0.2, 0.4)})
    found = verdicts(latent_sweep=made, config=study_config(name="mnist", as_shipped=True))[name]
    assert found.seeds_needed == 4
    assert found.every_step.seeds_needed > 4


def test_each_claim_says_whose_it_is():
    assert {name for name, one in verdicts().items() if one.source == "ours"} == OURS


def study_tables(**more):
    models = rows("latent_dim", "final_test_loss", FALLING).assign(
        architecture="depth 2", depth=2, objective="mse"
    )
    classifiers = classified(0.7, 0.8).assign(architecture="depth 2", latent_dim=3)
    config = study_config(
        latent_dims=[2, 3, 4, 5],
        depths=[1, 2],
        margins={"relative": 1.0, "accuracy": 0.5},
        interpolation={"latent_dims": [2]},
        transfer={
            "scenarios": ["head_only", "fine_tune"],
            "label_budgets": ["all"],
            "depth": 2,
            "latent_dim": 3,
            "latent_dims": [3, 4],
        },
    )
    return Tables(models, classifiers, DataFrame(), DataFrame(), models[:0], config | more, 0)


def test_claims_are_judged_on_a_study_s_own_tables_with_their_gaps():
    found = {verdict.name: verdict for verdict in judge_claims(study_tables())}
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


def test_a_study_of_other_networks_has_no_claims_about_depth():
    architectures = {"architectures": {"small": {}}, "architecture": "depth 2"}
    every, depths = study_tables(), study_tables(**architectures)
    found = {one.name for one in judge_claims(study_tables(**architectures, depths=[]))}
    left_out = {one.name for one in judge_claims(every)} - found
    assert left_out == {
        "deeper_lower_train_loss",
        "deeper_lower_test_loss",
        "deeper_fewer_parameters",
        "depth_3_fewer_parameters_lower_loss",
        "deeper_fewer_updates",
        "deeper_fewer_operations",
        "deeper_smaller_area_under_log_loss",
    }
    assert [one.name for one in judge_claims(depths)] == [one.name for one in judge_claims(every)]
    assert "deeper_lower_test_loss" in {one.name for one in judge_claims(study_tables(depths=[]))}


@pytest.mark.parametrize("as_shipped", [True, False])
def test_only_a_study_as_shipped_takes_its_known_spread(monkeypatch, as_shipped):
    name = "larger_latent_lower_test_loss"
    known = Measured(20, 0.2, 0.4)
    monkeypatch.setattr(known_spreads, "KNOWN", {("made", name): known})
    found = {one.name: one for one in judge_claims(study_tables(as_shipped=as_shipped))}
    assert (found[name].every_step.known_spread is not None) == as_shipped


def test_a_single_coordinate_has_no_correlation_to_compare():
    made = DataFrame(
        {"latent_dim": size, "seed": seed, "mean_abs_correlation_live": value - 0.01 * seed * size}
        for size, value in ((1, math.nan), (2, 0.8), (3, 0.4))
        for seed in range(3)
    )
    found = verdicts(latent_sweep=made)["larger_latent_less_correlated_live"]
    assert [one.label for one in steps_of(found)] == ["d = 2 to d = 3"]
    assert found.outcome == "confirmed"
