import math

import pytest
import torch

from models import chain_rules, function_exercises, optimization_exercises
from models.angles import angle_difference, angle_loss
from models.calculus import (
    classify_by_sampling,
    classify_stationary_point,
    gradient_descent,
    taylor2,
    taylor_terms,
)
from models.chain_rules import SmoothFunction
from models.exercises import difference
from models.theory import Check, check_theory, counterexamples


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def double(values):
    return torch.tensor(values, dtype=torch.double)


def linear(*w):
    return SmoothFunction(double(w), double([0]), double([[0] * len(w)]), double([0]))


SINE = SmoothFunction(double([0]), double([1]), double([[1]]), double([0]))


@pytest.mark.parametrize("seed", range(3))
def test_every_exercise_holds(seed):
    checks = check_theory(seeded(seed), cases=30)
    assert [check for check in checks if not check.holds] == []
    assert len({check.name for check in checks}) == len(checks) == 19
    assert all(check.tolerance <= 0.02 for check in checks)


def test_same_generator_gives_the_same_errors_and_leaves_other_randomness_alone():
    before = torch.get_rng_state()
    first, second, other = (check_theory(seeded(seed), cases=2) for seed in (1, 1, 2))
    assert first == second
    assert first != other
    assert torch.equal(torch.get_rng_state(), before)


def test_no_cases_are_refused():
    with pytest.raises(ValueError, match="not 0"):
        check_theory(seeded(), cases=0)


def test_an_undefined_error_does_not_hold():
    assert Check("name", "statement", 0.1, 0.1).holds
    assert not Check("name", "statement", 0.2, 0.1).holds
    assert not Check("name", "statement", math.nan, 0.1).holds


def test_difference_is_relative_to_large_values_only():
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
def test_what_is_broken_fails(monkeypatch, module, name, broken, failing):
    monkeypatch.setattr(module, name, broken)
    found = check_theory(seeded(), cases=10)
    assert sorted(check.name for check in found if not check.holds) == sorted(failing)


def test_counterexamples_refute_the_claims():
    half, radians, hessian = (found.numbers for found in counterexamples())
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


def test_angle_loss_is_half_the_squared_distance_on_the_circle():
    predicted = 720 * torch.rand(2, 3, generator=seeded(), dtype=torch.double)
    target = 720 * torch.rand(2, 3, generator=seeded(1), dtype=torch.double)
    points = [torch.polar(torch.ones_like(angle), angle.deg2rad()) for angle in (predicted, target)]
    expected = ((points[0] - points[1]).abs().square() / 2).mean().item()
    assert angle_loss(predicted, target).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("predicted", "target"),
    [
        ([359], [1]),
        ([1], [359]),
        ([0], [360]),
        ([360], [0]),
        ([180], [0]),
        ([[271, 5]], [[90, -6]]),
    ],
)
def test_angle_loss_has_the_gradient_of_its_values(predicted, target):
    angles = double(predicted).requires_grad_(), double(target).requires_grad_()
    assert torch.autograd.gradcheck(angle_loss, angles)


@pytest.mark.parametrize(
    ("predicted", "target", "end"),
    [(359, 1, 361), (1, 359, -1), (180.001, 0, 360), (179.999, 0, 0), (-10, 700, -20)],
)
def test_angle_loss_pulls_the_shorter_way(predicted, target, end):
    target = double([target])
    found = gradient_descent(
        lambda angle: angle_loss(angle, target), double([predicted]), 3000, 1e-20, 200
    )
    assert found.stopped
    assert found.theta.item() == pytest.approx(end, abs=1e-6)


def test_angle_loss_at_its_extremes():
    angle = double([90]).requires_grad_()
    loss = angle_loss(angle, double([270]))
    loss.backward()
    assert loss.item() == 2
    assert angle.grad.item() == pytest.approx(0, abs=1e-15)
    assert angle_loss(double([0, 360, -720]), double([360, 0, 1080])).item() == 0
    tiny = angle_loss(double([360]), double([1e-9])).item()
    assert tiny == pytest.approx(math.radians(1e-9) ** 2 / 2, rel=1e-3, abs=0)


@pytest.mark.parametrize(
    ("predicted", "target"), [((3,), (3, 1)), ((1,), ()), ((2, 3), (3,)), ((0,), (0,))]
)
def test_angle_loss_refuses_what_it_cannot_pair(predicted, target):
    with pytest.raises(ValueError, match=r"same shape|at least one"):
        angle_loss(torch.zeros(predicted), torch.zeros(target))


def test_angle_difference_goes_the_shorter_way():
    predicted, target = double([359, 1, 0, 725, 90]), double([1, 359, 360, 0, 180])
    assert angle_difference(predicted, target).tolist() == [-2, 2, 0, 5, -90]
    assert angle_difference(double([190]), double([0, 10])).abs().tolist() == [170, 180]


def square(x):
    return x.square().sum()


def test_gradient_descent_by_hand():
    start = double([1])
    found = gradient_descent(square, start, 0.25, 0.2, 9)
    assert found.theta.tolist() == [0.25]
    assert found.values.tolist() == [1, 0.25, 0.0625]
    assert (found.steps, found.stopped) == (2, True)
    assert start.item() == 1
    # The change from the first to the second step is eps, not below it.
    assert gradient_descent(square, start, 0.25, 0.1875, 9).steps == 3
    cut = gradient_descent(square, start, 0.25, 0.1, 2)
    assert (cut.steps, cut.stopped) == (2, False)
    none = gradient_descent(square, start, 0.25, 1, 0)
    assert (none.steps, none.stopped, none.theta.item()) == (0, False, 1)


def test_gradient_descent_that_diverges_runs_to_its_limit():
    found = gradient_descent(square, double([1]), 1.5, 1e-9, 10)
    assert found.theta.item() == 1024
    assert not found.stopped
    overflow = gradient_descent(lambda x: x.pow(4).sum(), double([3]), 1, 1e-9, 30)
    assert not overflow.theta.isfinite().any()
    assert (overflow.steps, overflow.stopped) == (30, False)


def test_gradient_descent_stops_where_nothing_changes_enough():
    far = gradient_descent(square, double([1]), 1e-6, 1e-4, 10)
    assert (far.steps, far.stopped) == (1, True)
    assert far.theta.item() == pytest.approx(1, abs=1e-5)
    flat = gradient_descent(lambda _: double(3), double([1]), 1, 1e-9, 10)
    assert (flat.steps, flat.theta.item()) == (1, 1)
    with torch.no_grad():
        single = gradient_descent(square, torch.ones(2, 2), 0.5, 1e-9, 10)
    assert single.theta.dtype == torch.double
    assert single.theta.tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("bad", [(0, 1, 1), (-1, 1, 1), (math.nan, 1, 1), (1, -1, 1), (1, 1, -1)])
def test_gradient_descent_refuses(bad):
    with pytest.raises(ValueError, match="alpha must be positive"):
        gradient_descent(square, double([1]), *bad)


def test_taylor_by_hand():
    x, step = double([1, 2]), double([0.1, 0.2])
    # x^2 y: gradient (4, 1), Hessian ((4, 2), (2, 0)).
    assert taylor_terms(lambda p: p[0] ** 2 * p[1], x, step) == pytest.approx((2, 0.6, 0.12))
    assert taylor2(lambda p: p[0] ** 2 * p[1], x, step).item() == pytest.approx(2.66)
    assert taylor2(lambda p: 3 * p[0], x, step).item() == pytest.approx(3.3)
    assert taylor2(lambda _: double(3), x, step).item() == 3


@pytest.mark.parametrize(
    ("eigenvalues", "kind"),
    [
        ([2], "minimum"),
        ([-2], "maximum"),
        ([0], "undecided"),
        ([1, 2, 3], "minimum"),
        ([-1, -2, -3], "maximum"),
        ([1, -1e-6], "saddle"),
        ([1, 0, -1], "saddle"),
        ([1, 0], "undecided"),
        ([-1, 0], "undecided"),
        ([1, 1e-15], "undecided"),
        ([1, -1e-15], "undecided"),
        ([1e-20, 2e-20], "minimum"),
    ],
)
def test_stationary_points(eigenvalues, kind):
    n = len(eigenvalues)
    axes = torch.linalg.qr(torch.randn(n, n, generator=seeded(), dtype=torch.double)).Q
    for basis in (torch.eye(n, dtype=torch.double), axes):
        assert classify_stationary_point(basis.T @ double(eigenvalues).diag() @ basis) == kind


@pytest.mark.parametrize(
    "matrix", [[1.0, 2], [[1.0, 2]], [[1.0, 2], [0, 1]], [[math.nan]], [[math.inf]], [[]]]
)
def test_what_is_no_hessian_is_refused(matrix):
    with pytest.raises(ValueError, match="symmetric matrix"):
        classify_stationary_point(torch.tensor(matrix))


def test_an_empty_matrix_is_refused():
    with pytest.raises(ValueError, match="symmetric matrix"):
        classify_stationary_point(torch.zeros(0, 0))


@pytest.mark.parametrize(
    ("signs", "kind"),
    [((1, 1), "minimum"), ((-1, -1), "maximum"), ((1, -1), "saddle"), ((1, 0), "undecided")],
)
def test_samples_show_what_a_point_is(signs, kind):
    offsets = double([[0.1, 0], [0, 0.1], [-0.1, 0], [0, -0.1]])
    center = double([3, 4])
    found = classify_by_sampling(
        lambda x: (x - center).square() @ double(signs) + 5, center, offsets
    )
    assert found == kind


def test_chain_rules_by_hand():
    x, y, z = double([0.3, 0.5, 0.7])
    f, g, h = linear(2), linear(3), linear(5)
    assert chain_rules.shared_input(linear(2, 3, 5), x, y, z).item() == pytest.approx(6.9)
    assert chain_rules.shared_input_by_x(linear(2, 3, 5), x, y, z).item() == 8
    assert chain_rules.nested([SINE, f], x).item() == pytest.approx(math.sin(0.6))
    assert chain_rules.nested_by_x([SINE, f], x).item() == pytest.approx(2 * math.cos(0.6))
    assert chain_rules.nested_by_x([f, SINE], x).item() == pytest.approx(2 * math.cos(0.3))
    assert chain_rules.nested_by_x([SINE], x).item() == pytest.approx(math.cos(0.3))
    chain = [linear(1, 3), linear(2, 5), SINE]
    inner = 0.6 + 5 * math.sin(0.3)
    assert chain_rules.nested_with_input(chain, x).item() == pytest.approx(0.3 + 3 * inner)
    slope = 1 + 3 * (2 + 5 * math.cos(0.3))
    assert chain_rules.nested_with_input_by_x(chain, x).item() == pytest.approx(slope)
    alone = chain_rules.nested_with_input_by_x([SINE], x)
    assert alone.item() == pytest.approx(math.cos(0.3))
    assert chain_rules.nested_sums(f, g, h, x).item() == pytest.approx(2 * 0.3 * (1 + 3 * 6))
    assert chain_rules.nested_sums_by_x(f, g, h, x).item() == 2 * (1 + 3 * 6)
