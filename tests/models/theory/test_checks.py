import math

import pytest
import torch

from models.theory import (
    chain_rules,
    function_exercises,
    gradient_descent_exercises,
    taylor_exercises,
)
from models.theory.angles import written_angle_loss
from models.theory.calculus import gradient_descent, taylor2, taylor_terms
from models.theory.checks import EXERCISES, Check, check, check_theory
from models.theory.exercises import Quadratic, difference
from tests.models.conftest import double, seeded


@pytest.mark.parametrize("seed", range(2))
def test_every_exercise_holds(seed):
    checks = check_theory(seeded(seed), cases=20)
    assert [check for check in checks if not check.holds] == []
    assert len({check.name for check in checks}) == len(checks) == 25
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


def signed(predicted, target, factor):
    turn = (predicted - target) * factor
    return torch.minimum(turn, 2 * torch.pi - turn)


def jacobians_at_x(functions, x):
    return product([f.jacobian(x) for f in functions], x)


def reversed_factors(functions, x):
    return product(nested_jacobians(functions, x)[::-1], x)


def nested_jacobians(functions, x):
    return [
        f.jacobian(chain_rules.nested(functions[i:], x)) for i, f in enumerate(functions, start=1)
    ]


def product(matrices, x):
    found = torch.eye(len(x), dtype=x.dtype)
    for matrix in matrices:
        found = found @ matrix
    return found


def summands_with_input(functions, x):
    """Of each function its Jacobian by x, and by its inner argument where it has one."""
    *outer, last = functions
    inner = [chain_rules.nested_with_input(functions[i:], x) for i in range(1, len(functions))]
    pairs = [f.jacobian(x, u).chunk(2, dim=1) for f, u in zip(outer, inner, strict=True)]
    return [by_x for by_x, _ in pairs] + [last.jacobian(x)], [by_inner for _, by_inner in pairs]


def only_through_the_inner_function(functions, x):
    by_x, by_inner = summands_with_input(functions, x)
    return product(by_inner, x) @ by_x[-1]


def with_input_reversed(functions, x):
    by_x, by_inner = summands_with_input(functions, x)
    return sum(product(by_inner[:i][::-1], x) @ summand for i, summand in enumerate(by_x))


def without_inner_identity(f, g, h, x):
    v = x + h(x)
    identity = torch.eye(len(x), dtype=x.dtype)
    return f.jacobian(x + g(v)) @ (identity + g.jacobian(v) @ h.jacobian(x))


def sums_reversed(f, g, h, x):
    v = x + h(x)
    identity = torch.eye(len(x), dtype=x.dtype)
    return (identity + (identity + h.jacobian(x)) @ g.jacobian(v)) @ f.jacobian(x + g(v))


def first_argument_only(f, x, y, z):
    return f.jacobian(x + y, 2 * x, z).chunk(3, dim=1)[0]


def half_steps(f, theta, alpha, eps, maximum_steps):
    return gradient_descent(f, theta, alpha / 2, eps, maximum_steps)


def linear_powers(f, x, alpha, steps):
    powers = 1 - alpha * f.eigenvalues * torch.arange(steps + 1).unsqueeze(1)
    return f.center + (powers * (f.vectors @ (x - f.center))) @ f.vectors


def falls_by_the_gradient(f, alpha):
    return alpha * f.eigenvalues.square()


def bowl(point):
    return point.square().sum()


AFFINE = ["affine_after_affine", "affine_with_bias_is_not_linear"]
LINEAR = ["affine_after_affine", "linear_after_linear"]
ANGLE = ["angle_loss_gradient", "angle_loss_shorter_way"]
TAYLOR = ["taylor_closed_form", "taylor_of_quadratic", "taylor_remainder_order"]
HESSIAN = ["hessian_decides", "semidefinite_hessian_is_undecided"]
SADDLE = ["gradient_descent_saddle"]
DESCENTS = {exercise.name for exercise in gradient_descent_exercises.EXERCISES}
WITHOUT_RULE = {
    "gradient_descent_iterates",
    "gradient_descent_step_limit",
    "gradient_descent_ill_conditioned",
}
CLOSED_FORM = ["gradient_descent_iterates", "gradient_descent_stopping_rule"]
BROKEN = [
    (function_exercises, "layers", without_last_bias, AFFINE),
    (function_exercises, "layers", other_weight, LINEAR),
    (function_exercises, "angle_loss", with_factor_of_180, ANGLE),
    (function_exercises, "angle_loss", without_wrap, [*ANGLE, "angle_loss_turns"]),
    (
        function_exercises,
        "written_angle_loss",
        lambda predicted, target, _: written_angle_loss(predicted, target),
        ["written_angle_loss_range"],
    ),
    (function_exercises, "written_angle_loss", signed, ["written_angle_loss_range"]),
    (chain_rules, "shared_input_by_x", first_argument_only, ["chain_rule_shared_input"]),
    (chain_rules, "nested_by_x", jacobians_at_x, ["chain_rule_nested"]),
    (chain_rules, "nested_by_x", reversed_factors, ["chain_rule_nested"]),
    (
        chain_rules,
        "nested_with_input_by_x",
        only_through_the_inner_function,
        ["chain_rule_nested_with_input"],
    ),
    (
        chain_rules,
        "nested_with_input_by_x",
        with_input_reversed,
        ["chain_rule_nested_with_input"],
    ),
    (chain_rules, "nested_sums_by_x", without_inner_identity, ["chain_rule_nested_sums"]),
    (chain_rules, "nested_sums_by_x", sums_reversed, ["chain_rule_nested_sums"]),
    (gradient_descent_exercises, "gradient_descent", ascent, DESCENTS),
    (gradient_descent_exercises, "gradient_descent", never_stops, DESCENTS - WITHOUT_RULE),
    (
        gradient_descent_exercises,
        "gradient_descent",
        one_step_late,
        ["gradient_descent_jump", "gradient_descent_stopping_rule"],
    ),
    (
        gradient_descent_exercises,
        "gradient_descent",
        half_steps,
        [
            *WITHOUT_RULE,
            "gradient_descent_jump",
            "gradient_descent_stopping_distance",
            "gradient_descent_stopping_rule",
        ],
    ),
    (Quadratic, "descent", linear_powers, CLOSED_FORM),
    (
        gradient_descent_exercises,
        "stopping_falls",
        falls_by_the_gradient,
        ["gradient_descent_stopping_distance"],
    ),
    (gradient_descent_exercises, "saddle", bowl, SADDLE),
    (gradient_descent_exercises, "double_well", bowl, ["gradient_descent_not_convex"]),
    (gradient_descent_exercises, "classify_stationary_point", lambda _: "minimum", SADDLE),
    (taylor_exercises, "taylor2", without_half, TAYLOR),
    (taylor_exercises, "taylor2", undefined_at_zero, TAYLOR[:1]),
    (taylor_exercises, "classify_stationary_point", lambda _: "minimum", HESSIAN),
    (taylor_exercises, "classify_by_sampling", lambda *_: "minimum", HESSIAN),
]


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.name)
def test_every_exercise_fails_when_its_formula_is_broken(monkeypatch, exercise):
    broken = [case[:3] for case in BROKEN if exercise.name in case[3]]
    assert broken, f"add a broken formula of {exercise.name} to BROKEN"
    for change in broken:
        with monkeypatch.context() as patch:
            patch.setattr(*change)
            assert not check(exercise, seeded(), cases=5).holds, change
    assert check(exercise, seeded(), cases=5).holds


@pytest.mark.parametrize(("module", "name", "broken", "failing"), BROKEN)
def test_a_broken_formula_fails_no_other_exercise(monkeypatch, module, name, broken, failing):
    monkeypatch.setattr(module, name, broken)
    others = [exercise for exercise in EXERCISES if exercise.name not in failing]
    assert all(check(exercise, seeded(), cases=2).holds for exercise in others)
