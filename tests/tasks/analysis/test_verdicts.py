"""Comparisons and outcomes from made values whose answer is known."""

import math

import numpy as np
import pytest
from pandas import DataFrame, Series
from scipy import stats

from tasks.analysis.verdicts import Comparison, Verdict, compare, compare_neighbours


def verdict(*comparisons, sign=1):
    return Verdict(name="x", claim="", quantity="", sign=sign, comparisons=comparisons)


def interval(low, high, **fields):
    """A comparison of four seeds with this interval around its change."""
    return Comparison(label="", change=(low + high) / 2, low=low, high=high, n=4, **fields)


@pytest.mark.parametrize(
    ("comparison", "sign", "supports", "contradicts"),
    [
        (interval(0.1, 0.3), 1, True, False),
        (interval(0.1, 0.3), -1, False, True),
        (interval(-0.1, 0.3), 1, False, False),
        (interval(-0.3, 0.0), 1, False, False),  # an end at zero is not beside it
        (interval(0.2, 0.2), 1, False, False),
        (interval(0.2, 0.2, exact=True), 1, True, False),
        (interval(0.0, 0.0, exact=True), 1, False, False),
        (Comparison(label="", change=0.2, n=1), 1, False, False),
    ],
)
def test_an_interval_supports_or_contradicts_a_claim_or_neither(
    comparison, sign, supports, contradicts
):
    assert comparison.supports(sign) is supports
    assert comparison.contradicts(sign) is contradicts


SUPPORT = interval(0.1, 0.3, p_value=0.001)
OPEN = interval(-0.1, 0.3, p_value=0.5)
AGAINST = interval(-0.3, -0.1, p_value=0.02)
NOT_COMPARED = Comparison(label="", change=0, n=0)


@pytest.mark.parametrize(
    ("comparisons", "outcome"),
    [
        ([SUPPORT, SUPPORT], "confirmed"),
        ([SUPPORT, OPEN], "undecided"),
        ([SUPPORT, NOT_COMPARED], "undecided"),
        ([SUPPORT, AGAINST], "refuted"),  # 0.02 < 0.05 / 2
        ([SUPPORT, SUPPORT, AGAINST], "undecided"),  # 0.02 > 0.05 / 3
        ([SUPPORT, SUPPORT, interval(-0.2, -0.2, exact=True)], "refuted"),
        ([NOT_COMPARED], "not measured"),
        ([], "not measured"),
    ],
)
def test_the_outcome_follows_from_all_comparisons(comparisons, outcome):
    assert verdict(*comparisons).outcome == outcome
    mirrored = [
        one.model_copy(update={"low": -one.high, "high": -one.low}) if one.n else one
        for one in comparisons
    ]
    assert verdict(*mirrored, sign=-1).outcome == outcome


def test_the_weakest_comparison_has_the_smallest_lower_bound():
    wide = interval(-0.5, 3.0)
    single = Comparison(label="", change=-0.4, n=1)
    assert verdict(SUPPORT, wide, single).weakest == wide
    assert verdict(SUPPORT, single, OPEN).weakest == single
    assert verdict(SUPPORT, wide, NOT_COMPARED).weakest == NOT_COMPARED
    assert verdict(SUPPORT, wide, sign=-1).weakest == wide  # reaches 3.0 to the wrong side
    assert verdict().weakest is None


def test_of_many_steps_one_that_may_be_chance_refutes_nothing():
    few = compare("a", Series([1.0, 1, 1]), Series([1.15, 1.3, 1.2]), relative=False)
    assert 0.01 < few.p_value < 0.05
    assert verdict(few, sign=-1).outcome == "refuted"
    falls = compare("b", Series([1.0, 1, 1]), Series([0.5, 0.51, 0.52]), relative=False)
    assert verdict(few, *[falls] * 4, sign=-1).outcome == "undecided"


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
    assert not found.supports(1)  # as if they were equal
    assert compare("one seed", before[:1], after[:1], relative=False).effect_size is None


def test_neighbours_are_compared_in_rising_order_seed_by_seed():
    made = DataFrame(
        [(20, 0, 0.9), (5, 0, 0.6), (5, 1, 0.5), (9, 1, 0.7)],
        columns=["latent_dim", "seed", "sharpness"],
    )
    found = compare_neighbours(made, "latent_dim", "sharpness", "d = {}", relative=False)
    assert [(one.label, one.n) for one in found] == [("d = 5 to d = 9", 1), ("d = 9 to d = 20", 0)]
    assert found[0].change == pytest.approx(0.2)
    assert compare_neighbours(made, "latent_dim", "confidence", "{}", relative=False) == ()
