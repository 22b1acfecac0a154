"""The written exercises on the Taylor expansion and stationary points."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Generator, Tensor
from torch.autograd.functional import hessian

from models.theory.calculus import (
    classify_by_sampling,
    classify_stationary_point,
    observed_order,
    taylor2,
)
from models.theory.exercises import (
    Quadratic,
    difference,
    exercise,
    integer,
    normal,
    orthogonal,
    quadratic,
    uniform,
    wrong,
)


def exponentials(weights: Tensor, rates: Tensor, x: Tensor) -> Tensor:
    """sum_j weights_j exp(rates_j . x) for weights (m,), rates (m, n) and x (n,)."""
    return weights @ (rates @ x).exp()


@exercise(
    "The remainder of the second-order Taylor expansion is O(|s|^3) for a step s: half the step "
    "makes it 2^3 times smaller. The error is that of the exponent 3, for sums of exponentials and "
    "|s| of about 0.01.",
    0.02,
)
def taylor_remainder_order(generator: Generator, cases: int) -> Iterator[Tensor]:
    """The order that is observed for steps of about 0.01, against 3; errors of shape ()."""
    for _ in range(cases):
        n = integer(generator, 1, 4)
        # All are positive: if the third derivative along the step is 0, the order is higher.
        weights, rates = uniform(generator, 0.5, 1.5, 3), uniform(generator, 0.2, 1, 3, n)
        x, step = normal(generator, n), uniform(generator, 0.2, 1, n) / 100
        order = observed_order(taylor2, partial(exponentials, weights, rates), x, step)
        yield (order - 3).abs()


@exercise(
    "The second-order Taylor expansion of sum_j w_j exp(r_j . x) with the step s is "
    "sum_j w_j exp(r_j . x) (1 + r_j . s + (r_j . s)^2 / 2).",
    1e-12,
)
def taylor_closed_form(generator: Generator, cases: int) -> Iterator[Tensor]:
    """The expansion for a random step and for none, against the formula; errors of shape ()."""
    for _ in range(cases):
        n = integer(generator, 1, 4)
        weights, rates = normal(generator, 3), normal(generator, 3, n)
        x, random_step = normal(generator, 2, n)
        for step in (random_step, random_step * 0):
            along = rates @ step
            expected = (weights * (rates @ x).exp()) @ (1 + along + along.square() / 2)
            yield difference(taylor2(partial(exponentials, weights, rates), x, step), expected)


@exercise("The second-order Taylor expansion of a quadratic is exact for every step.", 1e-12)
def taylor_of_quadratic(generator: Generator, cases: int) -> Iterator[Tensor]:
    """Expansions for short, middle and long steps; errors of shape ()."""
    for _ in range(cases):
        f = quadratic(generator)
        x, step = normal(generator, 2, len(f.center))
        for length in (0.01, 1, 10):
            yield difference(taylor2(f, x, length * step), f(x + length * step))


def with_cubic_terms(f: Quadratic, x: Tensor) -> Tensor:
    """f plus cubic terms, which do not change its gradient and Hessian at the center.

    Values (...) at points x (..., n)."""
    return f(x) + (x - f.center).pow(3).sum(-1)


@exercise(
    "A stationary point is a minimum if all eigenvalues of the Hessian are positive, a maximum if "
    "all are negative, a saddle if there are some of each.",
    0,
)
def hessian_decides(generator: Generator, cases: int) -> Iterator[Tensor]:
    """The kind by the Hessian against that by values of f around; errors of shape ()."""
    for _ in range(cases):
        f = quadratic(generator)
        n = len(f.center)
        signs = torch.randint(2, (n,), generator=generator) * 2 - 1
        g = partial(with_cubic_terms, replace(f, eigenvalues=f.eigenvalues * signs))
        random = torch.nn.functional.normalize(normal(generator, 20, n))
        offsets = torch.cat([f.vectors, -f.vectors, random]) / 100
        by_hessian = classify_stationary_point(hessian(g, f.center))
        yield wrong(by_hessian != classify_by_sampling(g, f.center, offsets))


def square_plus_power(power: int, sign: int, axes: Tensor, center: Tensor, point: Tensor) -> Tensor:
    """x^2 + sign y^power at points (..., 2), with x and y along the rows of axes (2, 2)."""
    x, y = ((point - center) @ axes.T).unbind(-1)
    return x**2 + sign * y**power


def circle(radius: float) -> Tensor:
    """Points (360, 2) around the origin, one for each degree."""
    angles = torch.arange(360, dtype=torch.double).deg2rad()
    return radius * torch.stack([angles.cos(), angles.sin()], dim=1)


@exercise(
    "A semidefinite Hessian decides nothing: it is the same for x^2 + y^4 with a minimum, and for "
    "x^2 - y^4 and x^2 + y^3 with a saddle.",
    1e-12,
)
def semidefinite_hessian_is_undecided(generator: Generator, cases: int) -> Iterator[Tensor]:
    """The Hessians, and the kinds of the three functions; errors of shape ()."""
    for _ in range(cases):
        axes, center = orthogonal(generator, 2), normal(generator, 2)
        for power, sign, kind in ((4, 1, "minimum"), (4, -1, "saddle"), (3, 1, "saddle")):
            f = partial(square_plus_power, power, sign, axes, center)
            found = hessian(f, center)
            yield difference(found, 2 * torch.outer(axes[0], axes[0]))
            yield wrong(classify_stationary_point(found) != "undecided")
            yield wrong(classify_by_sampling(f, center, circle(0.1) @ axes) != kind)


EXERCISES = (
    taylor_remainder_order,
    taylor_closed_form,
    taylor_of_quadratic,
    hessian_decides,
    semidefinite_hessian_is_undecided,
)
