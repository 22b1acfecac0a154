"""The number of seeds that would decide, against scipy's distributions and made studies."""

import numpy as np
import pytest
from scipy import stats

from tasks.verdicts.comparisons import Comparison, contrast
from tasks.verdicts.seeds_needed import (
    MOST_SEEDS,
    fewest_seeds,
    power_of_difference,
    power_of_equivalence,
    seeds_to_decide,
    spread_bound,
)


def made(mean, spread=1.0, n=5, **fields):
    found = {"spread": spread, "standard_error": spread / n**0.5, "degrees": n - 1}
    return Comparison(label="", n=n, mean=mean, **found | fields)


def test_the_power_is_that_of_the_noncentral_t():
    found = power_of_difference(0.8, 1.0, 9, 10, 0.05)
    limit = stats.t.ppf(0.975, 9)
    assert found == pytest.approx(stats.nct.sf(limit, 9, 0.8 * 10**0.5))
    assert power_of_difference(-0.8, 1.0, 9, 10, 0.05) == pytest.approx(found)


def test_the_bound_of_the_spread_holds_in_four_of_five_studies():
    generator = np.random.default_rng(0)
    spreads = generator.normal(size=(4000, 5)).std(axis=1, ddof=1)
    share = np.mean([spread_bound(spread, 4) >= 1 for spread in spreads])
    assert share == pytest.approx(0.8, abs=0.02)


def test_the_power_of_equivalence_is_that_of_made_studies():
    generator = np.random.default_rng(1)
    changes = generator.normal(loc=0.2, size=(4000, 20))
    error = changes.std(axis=1, ddof=1) / 20**0.5
    half = stats.t.ppf(0.95, 19) * error
    means = changes.mean(axis=1)
    share = np.mean((means - half > -1) & (means + half < 1))
    assert power_of_equivalence((-1, 1), 0.2, 1.0, 19, 20) == pytest.approx(share, abs=0.02)
    assert power_of_equivalence((-1, 1), 2.0, 1.0, 19, 20) == 0


def test_the_fewest_seeds_are_found_up_to_a_thousand():
    assert fewest_seeds(lambda n: n / 100, 0.8) == 80
    assert fewest_seeds(lambda n: 1.0, 0.8) == 2
    assert fewest_seeds(lambda n: 0.0, 0.8) == MOST_SEEDS + 1
    assert fewest_seeds(lambda n: n / 1000, 1.0) == MOST_SEEDS


def test_so_many_seeds_decide_four_of_five_made_studies():
    mean, spread = 0.6, 1.0
    known = Comparison(label="", n=1, mean=mean, rising=1)
    n = seeds_to_decide((known,), 1, [0.01], spread)
    generator = np.random.default_rng(2)
    decided = [
        contrast("", generator.normal((0, mean), spread / 2**0.5, (n, 2)), (-1, 1), "").side(0.95)
        for _ in range(2000)
    ]
    assert np.mean(np.array(decided) == 1) == pytest.approx(0.8, abs=0.03)


def test_every_step_needs_as_many_as_its_least_sure_one():
    sure, unsure = made(3.0), made(0.9)
    both = seeds_to_decide((sure, unsure), 1, [0.01] * 2)
    alone = seeds_to_decide((unsure,), 1, [0.01])
    assert both >= alone > 5
    assert seeds_to_decide((unsure, unsure), 1, [0.01] * 2) > alone  # both at once
    against = made(-0.9)  # would be refuted, at half the level
    assert seeds_to_decide((sure, against), 1, [0.01] * 2) > seeds_to_decide((against,), -1, [0.01])
    assert seeds_to_decide((sure, made(0.0)), 1, [0.01] * 2) == MOST_SEEDS + 1


def test_a_small_change_is_sooner_found_equivalent():
    small = made(0.05)
    assert seeds_to_decide((small,), 1, [0.01]) == MOST_SEEDS + 1
    assert 5 < seeds_to_decide((small,), 1, [1.0]) < 60
    relative = made(0.001, spread=0.05, unit="%")  # 5 % of spread, a margin of 2 %
    assert 5 < seeds_to_decide((relative,), 1, [2.0]) < 200


def test_equal_changes_need_as_many_as_the_sign_test():
    equal = made(0.2, spread=0.0, n=3)
    assert seeds_to_decide((equal,), 1, [0.01]) == 6
    unmoved = made(0.0, spread=0.0, n=3)
    assert seeds_to_decide((unmoved,), 1, [0.01]) == 5


def test_an_exact_count_needs_no_seeds():
    count = Comparison(label="", n=3, mean=-0.5, spread=0.0, exact=True)
    clear = made(-6.0, n=3)
    alone = seeds_to_decide((clear,), -1, [0.01])
    assert seeds_to_decide((count, clear), -1, [0.01] * 2) == alone < 6
    one_seed = Comparison(label="", n=1, mean=-0.5, exact=True)
    assert seeds_to_decide((one_seed, clear), -1, [0.01] * 2) == alone
    small = made(-0.05, n=3)  # soon equivalent, but the count is not
    assert seeds_to_decide((count, small), -1, [0.01, 1.0]) == MOST_SEEDS + 1


def test_without_seeds_or_spread_nothing_is_known():
    single = Comparison(label="", n=1, mean=0.2)
    none = Comparison(label="", n=0)
    assert seeds_to_decide((single,), 1, [0.01]) is None
    assert seeds_to_decide((made(1.0), none), 1, [0.01] * 2, 0.1) is None
    assert seeds_to_decide((), 1, []) is None
    assert seeds_to_decide((single,), 1, [0.01], 0.1) == 5


def test_levels_that_are_not_paired_have_more_degrees_of_freedom():
    paired, apart = made(0.6, n=5), made(0.6, n=5, degrees=8.0)
    assert seeds_to_decide((apart,), 1, [0.01]) < seeds_to_decide((paired,), 1, [0.01])
