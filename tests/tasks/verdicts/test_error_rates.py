"""How often verdicts are wrong, in made studies. docs/verdicts.md has the whole table.

The bounds leave room for chance: with 300 studies a share of .025 has a standard deviation of .009.
"""

import pytest

from tests.benchmarks.error_rates import CASES, Case, rates

N_STUDIES = 300
BY_NAME = {case.name: case for case in CASES}
FALSE = 0.055  # a share of .025, and three standard deviations


def found(name, n_seeds):
    return rates(BY_NAME[name], n_seeds, N_STUDIES)


def test_a_single_seed_decides_nothing():
    for case in CASES:
        for shares in rates(case, 1, 20).values():
            assert shares["undecided"] == 1


@pytest.mark.parametrize("n_seeds", [3, 10])
@pytest.mark.parametrize(
    "name", ["no change", "no change, the first level spreads 10 times as much"]
)
def test_what_does_not_change_is_seldom_confirmed_or_refuted(name, n_seeds):
    shares = found(name, n_seeds)
    for reading in ("the claim", "trend", "every step"):
        assert shares[reading]["confirmed"] < FALSE
        assert shares[reading]["refuted"] < FALSE


@pytest.mark.parametrize("n_seeds", [3, 10])
def test_a_step_back_does_not_refute_a_trend(n_seeds):
    shares = found("steps of 3, but the last two swapped", n_seeds)
    assert shares["the claim"]["confirmed"] > 0.99
    assert shares["every step"]["confirmed"] == 0
    assert shares["every step"]["refuted"] < 0.3


@pytest.mark.parametrize(("n_seeds", "least", "most"), [(3, 0, 0.3), (5, 0.8, 0.98), (10, 0.99, 1)])
def test_every_step_needs_more_seeds_than_a_trend(n_seeds, least, most):
    shares = found("every step falls by 3", n_seeds)
    assert shares["trend"]["confirmed"] > 0.99
    assert least <= shares["every step"]["confirmed"] <= most
    assert shares["every step"]["refuted"] == 0


def test_a_step_of_nothing_is_not_confirmed():
    shares = found("steps of 3, but the last is none", 10)
    assert shares["every step"]["confirmed"] < FALSE
    assert shares["every step"]["refuted"] < FALSE


def test_what_falls_and_rises_again_is_not_equivalent():
    for n_seeds, refuted in ((3, 0), (10, 0.9)):
        shares = found("falls and rises, margin 1", n_seeds)
        assert shares["trend"]["equivalent"] > 0.9
        assert shares["the claim"]["equivalent"] < 0.01
        assert shares["the claim"]["refuted"] >= refuted


def test_small_changes_are_found_equivalent_with_enough_seeds():
    few, many = (found("no change, margin 3", n_seeds)["the claim"] for n_seeds in (3, 10))
    assert few["equivalent"] < 0.4
    assert many["equivalent"] > 0.85
    assert many["refuted"] < FALSE


@pytest.mark.parametrize("n_seeds", [3, 10])
def test_a_change_of_the_margin_is_seldom_called_equivalent(n_seeds):
    steps = Case("", (0.0, 0.2), margin=0.2, spreads=(1.0, 1.0))
    for case in (BY_NAME["rises by just the margin of 0.2"], steps):
        shares = rates(case, n_seeds, N_STUDIES)
        assert all(one["equivalent"] < 0.08 for one in shares.values())
