"""Changes between levels from made values whose answer is known."""

import math

import numpy as np
import pytest
from pandas import DataFrame, Series
from scipy import stats

from tasks.verdicts.comparisons import (
    Comparison,
    compare,
    compare_neighbours,
    compare_trend,
    computed,
    contrast,
    page_p_value,
    shown,
    values_by_level,
)


@pytest.fixture(autouse=True)
def seed_by_seed(monkeypatch):
    """Levels are paired, except where a test says otherwise."""
    monkeypatch.setattr("tasks.verdicts.comparisons.PAIRED", True)


BEFORE, AFTER = Series([0.4, 0.5, 0.8, 0.6]), Series([0.2, 0.45, 0.85, 0.3])


def table_of(*levels):
    """A table with these values of each level, one per seed."""
    return DataFrame(dict(enumerate(levels, start=1)))


def test_a_relative_change_is_the_mean_ratio_in_per_cent():
    found = compare("loss", BEFORE, AFTER, "%")
    logarithms = np.log(AFTER / BEFORE)
    assert found.change == pytest.approx(100 * math.expm1(logarithms.mean()))
    for confidence in (0.9, 0.95, 0.99):
        interval = stats.ttest_1samp(logarithms, 0).confidence_interval(confidence)
        expected = [100 * math.expm1(end) for end in interval]
        assert found.interval(confidence) == pytest.approx(expected)
    assert (found.low, found.high) == found.interval(0.95)
    assert (found.unit, found.n, found.rising, found.falling) == ("%", 4, 1, 3)


@pytest.mark.parametrize(("unit", "factor"), [("", 1), ("points", 100)])
def test_other_changes_are_differences_and_those_of_shares_percentage_points(unit, factor):
    found = compare("accuracy", Series([0.5, 0.6]), Series([0.7, 0.9]), unit)
    assert (found.unit, found.change) == (unit, pytest.approx(0.25 * factor))
    interval = stats.ttest_1samp([0.2, 0.3], 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low * factor, interval.high * factor))


@pytest.mark.parametrize("unit", ["", "%", "points"])
def test_a_computed_value_is_shown_in_its_unit_and_back(unit):
    assert computed(shown(0.1, unit), unit) == pytest.approx(0.1)
    assert math.isfinite(shown(5000.0, unit))
    assert computed(-100.0, "%") == -math.inf


@pytest.mark.parametrize("unit", ["%", ""])
def test_effect_size_and_p_value_are_those_of_a_paired_t_test(unit):
    pair = (np.log(AFTER), np.log(BEFORE)) if unit else (AFTER, BEFORE)
    test = stats.ttest_rel(*pair)
    found = compare("loss", BEFORE, AFTER, unit)
    assert found.p_value == pytest.approx(test.pvalue)
    assert found.effect_size == pytest.approx(test.statistic / 2)  # by the root of n
    assert 0.05 < found.p_value < 0.5


def test_seeds_that_lack_a_level_are_left_out():
    before = Series([0.4, 0.5, math.nan, 0.8, math.inf])
    found = compare("loss", before, Series([0.2, 0.1, 0.3, None, 0.1]), "%")
    assert found.n == 2
    single = compare("loss", before[:1], before[:1] / 2, "%")
    assert (single.n, single.change) == (1, pytest.approx(-50))
    assert [single.low, single.high, single.p_value, single.effect_size] == [None] * 4
    none = compare("loss", before[2:3], before[:1], "%")
    assert (none.n, none.change, none.interval(0.95)) == (0, 0, None)


@pytest.mark.parametrize(("n", "decides"), [(2, False), (5, False), (6, True), (10, True)])
def test_equal_changes_decide_by_the_sign_test(n, decides):
    before = Series([0.1, 0.2, 0.5, 0.3, 0.9, 0.4, 0.7, 0.6, 0.8, 1.1][:n])
    assert len(set(before + 0.2 - before)) > 1 or n == 2  # equal up to rounding
    found = compare("accuracy", before, before + 0.2, "points")
    assert found.effect_size is None
    assert found.p_value == pytest.approx(stats.binomtest(n, n).pvalue)
    assert found.interval(0.95) == ((pytest.approx(20), pytest.approx(20)) if decides else None)
    assert found.side(0.95) == decides
    assert (found.interval(1 - 0.05 / 5) is not None) == (n >= 8)
    rounded = compare("accuracy", before + 0.1 + 0.2, before + 0.3, "points")
    assert (rounded.change, rounded.rising, rounded.falling) == (0, 0, 0)
    none = compare("accuracy", before, before, "points")
    assert (none.change, none.p_value, none.rising, none.falling) == (0, 1, 0, 0)
    assert none.within(0.0, 0.95) == decides


def test_a_change_to_or_from_zero_is_a_difference():
    some, zero = Series([0.2, 0.3, 0.4]), Series([0.0, 0.0, 0.1])
    for pair in ((some, zero), (zero, some), (zero, zero), (-some, some)):
        found = compare("sharpness", *pair, "%")
        assert found.unit == ""
        assert found.change == pytest.approx((pair[1] - pair[0]).mean())
        assert found == compare("sharpness", *pair, "")


def test_the_interval_tells_the_side_and_the_margin():
    made = Comparison(label="", n=4, mean=0.2, spread=0.1, standard_error=0.05, degrees=3)
    low, high = made.interval(0.95)
    assert (low, high) == pytest.approx((0.2 - 3.182 * 0.05, 0.2 + 3.182 * 0.05), abs=1e-4)
    assert made.side(0.95) == 1
    assert made.side(0.99) == 0
    assert made.model_copy(update={"mean": -0.2}).side(0.95) == -1
    assert not made.within(0.358, 0.95)
    assert made.within(0.359, 0.95)  # 0.3591, which is printed as 0.359
    exact = Comparison(label="", n=1, mean=0.2, exact=True)
    assert exact.interval(0.99) == (0.2, 0.2)
    assert exact.p_value is None


GENERATOR = np.random.default_rng(0)
NOISE = GENERATOR.normal(size=(5, 4))
LEVELS = DataFrame(3 - np.arange(4) + NOISE, columns=[1, 5, 10, 20])


def test_the_trend_is_the_slope_over_ranks_seed_by_seed():
    found = compare_trend(LEVELS.rename(columns="d = {}".format), "")
    slopes = [np.polyfit(range(4), row, 1)[0] for row in LEVELS.to_numpy()]
    test = stats.ttest_1samp(slopes, 0)
    assert found.label == "per step, d = 1 to d = 20"
    assert found.change == pytest.approx(np.mean(slopes))
    assert found.p_value == pytest.approx(test.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert found.effect_size == pytest.approx(np.mean(slopes) / np.std(slopes, ddof=1))


def test_of_two_levels_the_trend_is_the_step_and_of_three_half_from_end_to_end():
    two = compare_trend(LEVELS[[1, 5]], "")
    (step,) = compare_neighbours(LEVELS[[1, 5]], "")
    assert two.model_copy(update={"label": ""}) == step.model_copy(update={"label": ""})
    three = compare_trend(LEVELS[[1, 5, 20]], "")
    ends = compare("", LEVELS[1], LEVELS[20], "")
    assert three.mean == pytest.approx(ends.mean / 2)
    assert three.p_value == pytest.approx(ends.p_value)


def test_a_relative_trend_is_in_per_cent_per_step():
    halves = table_of([8.0, 16.0], [4.0, 8.0], [2.0, 4.0])
    assert compare_trend(halves, "%").change == pytest.approx(-50)


def test_levels_that_are_not_paired_are_compared_as_welch_does():
    first, second = [1.0, 3.0, 2.0, 9.0], [4.0, 5.0, 6.0, None]
    found = contrast("", table_of(first, second), (-1, 1), "", paired=False)
    test = stats.ttest_ind(second[:3], first, equal_var=False)
    assert found.n == 3
    assert found.p_value == pytest.approx(test.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(test.confidence_interval(0.95)))
    expected = math.sqrt(np.var(first, ddof=1) + np.var(second[:3], ddof=1))
    assert found.effect_size == pytest.approx(found.change / expected)
    single = contrast("", table_of([1.0, 2.0], [3.0, None]), (-1, 1), "", paired=False)
    assert (single.n, single.change, single.interval(0.95)) == (1, pytest.approx(1.5), None)
    empty = contrast("", table_of([1.0, 2.0], [None, None]), (-1, 1), "", paired=False)
    assert (empty.n, empty.change) == (0, 0)


def test_pairs_bring_precision_where_a_seed_moves_all_levels():
    common = GENERATOR.normal(scale=10, size=(5, 1))
    moved = LEVELS + common
    paired, apart = (
        contrast("", moved, (-0.3, -0.1, 0.1, 0.3), "", paired=one) for one in (True, False)
    )
    assert paired.change == pytest.approx(apart.change)
    assert paired.p_value < 0.05 < apart.p_value
    assert paired.p_value == pytest.approx(compare_trend(LEVELS, "").p_value)


def test_whether_levels_are_paired_is_set_in_one_place(monkeypatch):
    monkeypatch.setattr("tasks.verdicts.comparisons.PAIRED", False)
    found = compare("", BEFORE, AFTER, "")
    assert found.p_value == pytest.approx(stats.ttest_ind(AFTER, BEFORE, equal_var=False).pvalue)


def test_neighbours_are_compared_in_rising_order_seed_by_seed():
    made = DataFrame(
        [(20, 0, 0.9), (5, 0, 0.6), (5, 1, 0.5), (9, 1, 0.7)],
        columns=["latent_dim", "seed", "sharpness"],
    )
    table = values_by_level(made, "latent_dim", "sharpness")
    found = compare_neighbours(table.rename(columns="d = {}".format), "")
    assert [(one.label, one.n) for one in found] == [("d = 5 to d = 9", 1), ("d = 9 to d = 20", 0)]
    assert found[0].change == pytest.approx(0.2)
    assert compare_trend(table.rename(columns="d = {}".format), "").n == 0  # no seed has all three
    assert values_by_level(made, "latent_dim", "confidence") is None
    assert values_by_level(made.assign(sharpness=None), "latent_dim", "sharpness") is None


def test_page_s_test_has_the_claim_s_direction_and_needs_seeds_and_levels():
    falls, rises = (page_p_value(LEVELS, sign) for sign in (-1, 1))
    expected = stats.page_trend_test(-LEVELS.to_numpy()).pvalue
    assert falls == pytest.approx(expected)
    assert falls < 0.05 < rises
    assert page_p_value(LEVELS[:1], -1) is None  # one seed would decide, with p = 1 / 24
    assert page_p_value(LEVELS[[1, 5]], -1) is None
    assert page_p_value(LEVELS.assign(**{"50": None}), -1) is None
