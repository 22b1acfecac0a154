import math

import pytest
import torch

from models.theory.calculus import (
    classify_by_sampling,
    classify_stationary_point,
    gradient_descent,
    taylor2,
    taylor_terms,
)
from tests.models.conftest import double, seeded


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


def test_gradient_descent_stops_where_the_value_changes_too_little():
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
def test_bad_settings_of_gradient_descent_are_errors(bad):
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
def test_eigenvalues_decide_the_kind_of_a_stationary_point(eigenvalues, kind):
    n = len(eigenvalues)
    axes = torch.linalg.qr(torch.randn(n, n, generator=seeded(), dtype=torch.double)).Q
    for basis in (torch.eye(n, dtype=torch.double), axes):
        assert classify_stationary_point(basis.T @ double(eigenvalues).diag() @ basis) == kind


@pytest.mark.parametrize(
    "matrix", [[1.0, 2], [[1.0, 2]], [[1.0, 2], [0, 1]], [[math.nan]], [[math.inf]], [[]]]
)
def test_a_matrix_that_is_no_hessian_is_an_error(matrix):
    with pytest.raises(ValueError, match="symmetric matrix") as error:
        classify_stationary_point(torch.tensor(matrix))
    assert "\n" not in str(error.value)


def test_an_empty_matrix_is_an_error():
    with pytest.raises(ValueError, match="symmetric matrix"):
        classify_stationary_point(torch.zeros(0, 0))


@pytest.mark.parametrize(
    ("signs", "kind"),
    [((1, 1), "minimum"), ((-1, -1), "maximum"), ((1, -1), "saddle"), ((1, 0), "undecided")],
)
def test_samples_decide_the_kind_of_a_stationary_point(signs, kind):
    offsets = double([[0.1, 0], [0, 0.1], [-0.1, 0], [0, -0.1]])
    center = double([3, 4])
    found = classify_by_sampling(
        lambda x: (x - center).square() @ double(signs) + 5, center, offsets
    )
    assert found == kind
