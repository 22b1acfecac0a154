import math

import pytest
from pandas import DataFrame, Series
from scipy import stats

from tasks.analysis.failures import count_failures, has_failed, wilson_interval


def test_a_training_failed_that_is_no_better_than_the_mean_image():
    losses = Series([0.05, 0.0674, 0.0675, 0.08, math.nan, math.inf, None])
    assert has_failed(losses, 0.0675).tolist() == [False, False, *[True] * 5]


def test_failures_are_counted_by_level_and_a_missing_model_is_one():
    rows = DataFrame(
        [(1, 0, 0.075), (1, 1, 0.05), (1, 2, 0.05), (5, 0, 0.03), (5, 1, 0.03), (9, 7, 0.03)],
        columns=["latent_dim", "seed", "final_test_loss"],
    )
    found = count_failures(rows, "latent_dim", [1, 5, 9], [0, 1, 2], 0.0675)
    assert [(one.level, one.failed, one.n) for one in found] == [(1, 1, 3), (5, 1, 3), (9, 3, 3)]
    assert found[2].high == pytest.approx(1)


def test_the_interval_is_wilsons():
    low, high = wilson_interval(1, 5)
    z = stats.norm.ppf(0.975)
    middle, half = 0.2 + z**2 / 10, z * math.sqrt(0.2 * 0.8 / 5 + z**2 / 100)
    assert (low, high) == pytest.approx([(middle + s * half) / (1 + z**2 / 5) for s in (-1, 1)])
    assert (round(100 * low), round(100 * high)) == (4, 62)
    assert wilson_interval(0, 3) == pytest.approx((0, 0.5615), abs=1e-4)
