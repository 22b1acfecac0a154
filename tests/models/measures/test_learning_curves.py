"""Learning curves whose measures are known."""

import math

import pytest

from models.measures.learning_curves import area_under_log_loss, epochs_to_loss

HALVING = [0.8, 0.4, 0.2, 0.1]


@pytest.mark.parametrize(
    ("goal", "epochs"),
    [(0.8, 0), (0.9, 0), (0.4, 1), (0.1, 3), (0.2 * 2**0.5, 1.5), (0.2 / 2**0.25, 2.25)],
)
def test_between_epochs_the_logarithm_is_interpolated(goal, epochs):
    assert epochs_to_loss(HALVING, goal) == pytest.approx(epochs)


def test_a_goal_that_is_never_reached_is_nan():
    assert math.isnan(epochs_to_loss(HALVING, 0.09))


def test_the_first_time_counts():
    assert epochs_to_loss([0.8, 0.2, 0.8, 0.1], 0.2) == 1


def test_a_bad_plateau_that_is_reached_early_is_not_faster():
    early_plateau, slower_but_better = [0.8, 0.41, 0.4, 0.4], [0.8, 0.4, 0.2, 0.1]
    common = max(early_plateau[-1], slower_but_better[-1])
    assert epochs_to_loss(slower_but_better, common) < epochs_to_loss(early_plateau, common)
    assert area_under_log_loss(slower_but_better) < area_under_log_loss(early_plateau)


def test_the_area_is_the_mean_of_the_logarithm():
    assert area_under_log_loss([0.5, 0.5, 0.5]) == pytest.approx(math.log(0.5))
    assert area_under_log_loss(HALVING) == pytest.approx(math.log((0.8 * 0.1) ** 0.5))
    assert area_under_log_loss([math.e, 1, 1]) == pytest.approx(0.25)


def test_a_loss_of_zero_has_no_logarithm():
    assert epochs_to_loss([0.5, 0.2, 0.0], 0.0) == 2
    assert epochs_to_loss([0.5, 0.2, 0.0], 0.2) == pytest.approx(1)
    assert math.isnan(area_under_log_loss([0.5, 0.2, 0.0]))
