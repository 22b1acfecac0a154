import math

import pytest
import torch

from models.theory import chain_rules, function_exercises, optimization_exercises
from models.theory.calculus import gradient_descent, taylor2, taylor_terms
from models.theory.checks import Check, check_theory, counterexamples
from models.theory.exercises import difference
from tests.models.conftest import double, seeded


@pytest.mark.parametrize("seed", range(3))
def test_every_exercise_holds(seed):
    checks = check_theory(seeded(seed), cases=30)
    assert [check for check in checks if not check.holds] == []
    assert len({check.name for check in checks}) == len(checks) == 19
    assert all(check.tolerance <= 0.02 for check in checks)


def test_errors_depend_on_the_generator_only_and_the_global_one_is_not_used():
    before = torch.get_rng_state()
    first, second, other = (check_theory(seeded(seed), cases=2) for seed in (1, 1, 2))
    assert first == second
    assert first != other
    assert torch.equal(torch.get_rng_state(), before)


def test_zero_cases_are_an_error():
    with pytest.raises(ValueError, match="not 0"):
        check_theory(seeded(), cases=0)


def test_a_check_whose_error_is_nan_does_not_hold():
    assert Check("name", "statement", 0.1, 0.1).holds
    assert not Check("name", "statement", 0.2, 0.1).holds
    assert not Check("name", "statement", math.nan, 0.1).holds


def test_difference_is_relative_only_where_expected_values_exceed_1():
    assert difference(double([1, 2]), double([1.5, 2])).item() == 0.25
    assert difference(double(0.1), double(0.2)).item() == pytest.approx(0.1)
    with pytest.raises(AssertionError):
        difference(double([1]), double(1))


def without_half(f, x, step):
    return sum(taylor_terms(f, x, step))


def undefined_at_zero(f, x, step):
    return taylor2(f, x, step) * (1 if step.any() else torch.nan)


def ascent(f, theta, alpha, eps, maximum_steps):
    return gradient_descent(lambda theta: -f(theta), theta, alpha, eps, maximum_steps)


def one_step_late(f, theta, alpha, eps, maximum_steps):
    found = gradient_descent(f, theta, alpha, eps, maximum_steps)
    steps = found.steps + found.stopped
    return gradient_descent(f, theta, alpha, 0, steps)._replace(stopped=found.stopped)


def never_stops(f, theta, alpha, eps, maximum_steps):
    return gradient_descent(f, theta, alpha, 0, maximum_steps)


def without_last_bias(first, second, x):
    return second[0] @ (first[0] @ x + first[1])


def other_weight(first, second, x):
    return second[0] @ (first[0].sign() @ x + first[1]) + second[1]


def with_factor_of_180(predicted, target):
    return (1 - ((predicted - target) * 2 * torch.pi / 180).cos()).mean()


def without_wrap(predicted, target):
    return (predicted - target).square().mean()


def slopes_at_x(functions, x):
    return torch.cat([f.gradient(x) for f in functions]).prod()


def only_through_the_inner_function(functions, x):
    *outer, last = functions
    slope = last.gradient(x).squeeze()
    for i, f in enumerate(outer, start=1):
        slope = slope * f.gradient(x, chain_rules.nested_with_input(functions[i:], x))[1]
    return slope


def without_inner_one(f, g, h, x):
    v = x + h(x)
    return (f.gradient(x + g(v)) * (1 + g.gradient(v) * h.gradient(x))).squeeze()


TAYLOR = ["taylor_closed_form", "taylor_of_quadratic", "taylor_remainder_order"]
STOPPING = ["gradient_descent_minimum", "gradient_descent_stopping_rule"]
STEPS = ["gradient_descent_iterates", "gradient_descent_step_limit"]
HESSIAN = ["hessian_decides", "semidefinite_hessian_is_undecided"]
ANGLE = ["angle_loss_gradient", "angle_loss_shorter_way"]
BROKEN = [
    (
        function_exercises,
        "layers",
        without_last_bias,
        ["affine_after_affine", "affine_with_bias_is_not_linear"],
    ),
    (function_exercises, "layers", other_weight, ["affine_after_affine", "linear_after_linear"]),
    (function_exercises, "angle_loss", with_factor_of_180, ANGLE),
    (function_exercises, "angle_loss", without_wrap, [*ANGLE, "angle_loss_turns"]),
    (
        chain_rules,
        "shared_input_by_x",
        lambda f, *xyz: f.gradient(*xyz)[0],
        ["chain_rule_shared_input"],
    ),
    (chain_rules, "nested_by_x", slopes_at_x, ["chain_rule_nested"]),
    (
        chain_rules,
        "nested_with_input_by_x",
        only_through_the_inner_function,
        ["chain_rule_nested_with_input"],
    ),
    (chain_rules, "nested_sums_by_x", without_inner_one, ["chain_rule_nested_sums"]),
    (optimization_exercises, "gradient_descent", ascent, [*STEPS, *STOPPING]),
    (optimization_exercises, "gradient_descent", one_step_late, STOPPING[1:]),
    (optimization_exercises, "gradient_descent", never_stops, STOPPING),
    (optimization_exercises, "taylor2", without_half, TAYLOR),
    (optimization_exercises, "taylor2", undefined_at_zero, TAYLOR[:1]),
    (optimization_exercises, "classify_stationary_point", lambda _: "minimum", HESSIAN),
    (optimization_exercises, "classify_by_sampling", lambda *_: "minimum", HESSIAN),
]


@pytest.mark.parametrize(("module", "name", "broken", "failing"), BROKEN)
def test_a_broken_function_fails_exactly_its_exercises(monkeypatch, module, name, broken, failing):
    monkeypatch.setattr(module, name, broken)
    checks = check_theory(seeded(), cases=10)
    assert sorted(check.name for check in checks if not check.holds) == sorted(failing)


def test_counterexamples_refute_the_claims():
    half, radians, hessian = (example.numbers for example in counterexamples())
    assert half["square_true"] == pytest.approx(1.21, abs=1e-14)
    assert half["square_with_half"] == pytest.approx(1.21, abs=1e-14)
    assert half["square_without_half"] == pytest.approx(1.22, abs=1e-14)
    assert half["exponential_order_without_half"] == pytest.approx(2, abs=0.01)
    assert half["exponential_order_with_half"] == pytest.approx(3, abs=0.01)
    expected = {90: (2, 1), 180: (0, 2), 360: (0, 0)}
    for degrees, (by_180, by_360) in expected.items():
        assert radians[f"loss_of_{degrees}_by_180"] == pytest.approx(by_180, abs=1e-14)
        assert radians[f"loss_of_{degrees}_by_360"] == pytest.approx(by_360, abs=1e-14)
    for name, rise in {"x2_plus_y4": 1e-4, "x2_minus_y4": -1e-4, "x2_plus_y3": -1e-3}.items():
        assert hessian[f"{name}_smallest_eigenvalue"] == 0
        assert hessian[f"{name}_smallest_rise"] == pytest.approx(rise)
