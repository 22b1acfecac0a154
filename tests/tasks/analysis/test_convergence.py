"""Learning curves whose order is known."""

import pytest

from tasks.analysis.convergence import Curve, convergence_rows


def curve(depth, losses, flops=1.0):
    return Curve(depth, 0, losses, 100, flops)


def test_all_curves_are_measured_to_the_lowest_loss_that_all_reach():
    plateau, better = curve(1, [0.8, 0.4, 0.4, 0.4]), curve(2, [0.8, 0.2, 0.1, 0.05], 3.0)
    first, second = convergence_rows([better, plateau])
    assert first["common_loss"] == second["common_loss"] == 0.4
    assert first["updates_to_common_loss"] == pytest.approx(100)
    assert second["updates_to_common_loss"] == pytest.approx(50)  # half way to a quarter
    assert second["flops_to_common_loss"] == pytest.approx(150)  # sooner, but not cheaper
    assert second["area_under_log_loss"] < first["area_under_log_loss"]


def test_a_bad_plateau_that_is_reached_early_is_not_fast():
    # to within 10 % of its own last loss the plateau needs one epoch, the better curve three
    early, better = curve(1, [0.8, 0.41, 0.4, 0.4]), curve(2, [0.8, 0.2, 0.1, 0.05])
    first, second = convergence_rows([early, better])
    assert second["updates_to_common_loss"] < first["updates_to_common_loss"]


def test_no_curves_give_no_rows():
    assert convergence_rows([]) == []
