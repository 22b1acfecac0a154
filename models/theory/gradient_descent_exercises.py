"""The written exercise on gradient descent: where it converges, and where its rule stops it."""

from collections.abc import Iterator

import torch
from torch import Generator, Tensor
from torch.autograd.functional import hessian

from models.theory.calculus import classify_stationary_point, gradient_descent
from models.theory.exercises import (
    Quadratic,
    difference,
    exercise,
    ill_conditioned,
    integer,
    normal,
    quadratic,
    uniform,
    wrong,
)


@exercise(
    "On a quadratic with the matrix A and the minimum theta*, gradient descent gives "
    "theta_k = theta* + (I - alpha A)^k (theta_0 - theta*).",
    1e-12,
)
def gradient_descent_iterates(generator: Generator, cases: int) -> Iterator[Tensor]:
    """The last theta after no step, and after 1 to 8; errors of shape ()."""
    for _ in range(cases):
        f = quadratic(generator)
        theta = normal(generator, len(f.center))
        alpha = (uniform(generator, 0.1, 2.5) / f.eigenvalues.max()).item()
        for steps in (0, integer(generator, 1, 8)):
            found = gradient_descent(f, theta, alpha, 0, steps)
            yield difference(found.theta, f.descent(theta, alpha, steps)[-1])


@exercise(
    "On a quadratic with eigenvalues from 1 to 2 and with alpha from 0.5 / lambda_max to "
    "1.6 / lambda_max, gradient descent with eps = 1e-14 stops within 1e-6 of the minimum.",
    1e-6,
)
def gradient_descent_minimum(generator: Generator, cases: int) -> Iterator[Tensor]:
    """Where at most 200 steps stop, and that they stop; errors of shape ()."""
    for _ in range(cases):
        f = quadratic(generator)
        alpha = (uniform(generator, 0.5, 1.6) / f.eigenvalues.max()).item()
        found = gradient_descent(f, normal(generator, len(f.center)), alpha, 1e-14, 200)
        yield difference(found.theta, f.center)
        yield wrong(not found.stopped)


@exercise(
    "Gradient descent with the stopping rule ends with the first k for which "
    "|f(theta_k) - f(theta_{k-1})| < eps.",
    0,
)
def gradient_descent_stopping_rule(generator: Generator, cases: int) -> Iterator[Tensor]:
    """The number of steps against the first small change of f; errors of shape ()."""
    for _ in range(cases):
        f = quadratic(generator)
        theta = normal(generator, len(f.center))
        alpha = (uniform(generator, 0.7, 1.3) / f.eigenvalues.max()).item()
        found = gradient_descent(f, theta, alpha, 1e-6, 100)
        changes = f(f.descent(theta, alpha, 100)).diff().abs()
        first = (changes < 1e-6).double().argmax().item()  # 0 if there is none
        yield wrong(found.steps != 1 + first)


@exercise(
    "Along the eigenvector of lambda_max each step multiplies the distance to the minimum by "
    "|1 - alpha lambda_max|: it shrinks for alpha < 2 / lambda_max, stays at it, grows above it.",
    1e-12,
)
def gradient_descent_step_limit(generator: Generator, cases: int) -> Iterator[Tensor]:
    """Distances after 4 steps, with alpha below, at and above the limit; errors of shape ()."""
    for _ in range(cases):
        f = quadratic(generator)
        offset = f.vectors[f.eigenvalues.argmax()]
        for share, factor in ((0.95, 0.9), (1, 1), (1.05, 1.1)):
            alpha = 2 * share / f.eigenvalues.max().item()
            found = gradient_descent(f, f.center + offset, alpha, 0, 4)
            yield difference((found.theta - f.center).norm(), offset.norm() * factor**4)


@exercise(
    "On a quadratic with the condition number 1e4 and with alpha = 1 / lambda_max, k steps leave "
    "(1 - 1e-4)^k of the distance along the eigenvector of lambda_min: 99.8 % after 20 steps.",
    1e-12,
)
def gradient_descent_ill_conditioned(generator: Generator, cases: int) -> Iterator[Tensor]:
    """What 20 steps leave along the slowest eigenvector; errors of shape ()."""
    for _ in range(cases):
        f = ill_conditioned(generator)
        slow, theta = f.vectors[f.eigenvalues.argmin()], normal(generator, len(f.center))
        found = gradient_descent(f, theta, 1 / f.eigenvalues.max().item(), 0, 20)
        left = (1 - 1e-4) ** 20
        yield difference(slow @ (found.theta - f.center), left * (slow @ (theta - f.center)))


def stopping_falls(f: Quadratic, alpha: float) -> Tensor:
    """How much one step decreases f at a distance of 1 along each eigenvector, as (n,).

    At the distance d it is d^2 times as much: alpha lambda^2 (2 - alpha lambda) d^2 / 2.
    """
    return alpha * f.eigenvalues.square() * (2 - alpha * f.eigenvalues) / 2


@exercise(
    "On a positive definite quadratic with alpha < 2 / lambda_max, the rule stops at most "
    "sqrt(2 eps / m) from the minimum, m = min_i alpha lambda_i^2 (2 - alpha lambda_i). A start "
    "nearer than that along this eigenvector stops after one step, one further away does not. "
    "Checked for the condition numbers 1 to 2 and 1e4, with eps = 2e-4.",
    0,
)
def gradient_descent_stopping_distance(generator: Generator, cases: int) -> Iterator[Tensor]:
    """Where descents stop, and starts just within and beyond that distance; errors of shape ()."""
    for _ in range(cases):
        for f in (quadratic(generator), ill_conditioned(generator)):
            alpha = (uniform(generator, 0.7, 1.3) / f.eigenvalues.max()).item()
            fall, slowest = stopping_falls(f, alpha).min(0)
            farthest = (2e-4 / fall).sqrt()
            start = torch.nn.functional.normalize(normal(generator, len(f.center)), dim=0)
            found = gradient_descent(f, f.center + start, alpha, 2e-4, 200)
            yield wrong(not found.stopped or bool((found.theta - f.center).norm() > farthest))
            for share in (0.99, 1.01):
                offset = share * farthest * f.vectors[slowest]
                found = gradient_descent(f, f.center + offset, alpha, 2e-4, 1)
                yield wrong(found.stopped != (share < 1))


@exercise(
    "With alpha = 2 / lambda_max the rule stops away from the minimum: from theta* + d along the "
    "eigenvector of lambda_max it stops after one step at theta* - d, where f is the same.",
    1e-12,
)
def gradient_descent_jump(generator: Generator, cases: int) -> Iterator[Tensor]:
    """Where the descent ends, and that it stops after one step; errors of shape ()."""
    for _ in range(cases):
        f = quadratic(generator)
        largest, i = f.eigenvalues.max(0)
        offset = uniform(generator, 0.5, 2) * f.vectors[i]
        found = gradient_descent(f, f.center + offset, 2 / largest.item(), 1e-9, 20)
        yield difference(found.theta, f.center - offset)
        yield wrong(found.steps != 1 or not found.stopped)


def saddle(point: Tensor) -> Tensor:
    """x^2 - y^2 at a point (2,); it has no minimum."""
    x_squared, y_squared = point.square().unbind()
    return x_squared - y_squared


def on_axis(generator: Generator, low: float, high: float) -> Tensor:
    """A point (2,) with y = 0 and |x| from low to high."""
    sign = 1 - 2 * integer(generator, 0, 1)
    return torch.stack([sign * uniform(generator, low, high), torch.zeros((), dtype=torch.double)])


@exercise(
    "On x^2 - y^2, which has no minimum, gradient descent from y = 0 stops within 1e-6 of the "
    "saddle for eps = 1e-14 and alpha from 0.3 to 0.4. From |y| >= 0.1 it does not stop in 10 "
    "steps, and f gets negative.",
    1e-6,
)
def gradient_descent_saddle(generator: Generator, cases: int) -> Iterator[Tensor]:
    """Descents that start on the axis y = 0, and beside it; errors of shape ()."""
    for _ in range(cases):
        start, alpha = on_axis(generator, 0.5, 1), uniform(generator, 0.3, 0.4).item()
        found = gradient_descent(saddle, start, alpha, 1e-14, 100)
        yield found.theta.abs().max()
        yield wrong(not found.stopped)
        yield wrong(classify_stationary_point(hessian(saddle, found.theta)) != "saddle")
        beside = start + on_axis(generator, 0.1, 1).flip(0)
        found = gradient_descent(saddle, beside, alpha, 1e-14, 10)
        yield wrong(found.stopped or bool(found.values[-1] >= 0))


def double_well(point: Tensor) -> Tensor:
    """(x^2 - 1)^2 / 4 + y^2 / 2 at a point (2,): minima at (-1, 0) and (1, 0), a saddle at 0."""
    x_squared, y_squared = point.square().unbind()
    return (x_squared - 1).square() / 4 + y_squared / 2


@exercise(
    "On (x^2 - 1)^2 / 4 + y^2 / 2, which is not convex, the end depends on the start: with x > 0 "
    "it is the minimum (1, 0), with x < 0 the minimum (-1, 0), with x = 0 the saddle (0, 0). "
    "Checked for |x| from 0.1 to 1.5 and alpha from 0.4 to 0.6.",
    1e-6,
)
def gradient_descent_not_convex(generator: Generator, cases: int) -> Iterator[Tensor]:
    """Descents that start on both sides of x = 0, and on it; errors of shape ()."""
    for _ in range(cases):
        x, y = on_axis(generator, 0.1, 1.5), on_axis(generator, 0.1, 1).flip(0)
        for start in (x + y, y):
            alpha = uniform(generator, 0.4, 0.6).item()
            found = gradient_descent(double_well, start, alpha, 1e-14, 200)
            end = start.sign() * torch.tensor([1, 0], dtype=torch.double)
            yield difference(found.theta, end)
            yield wrong(not found.stopped)


EXERCISES = (
    gradient_descent_iterates,
    gradient_descent_minimum,
    gradient_descent_stopping_rule,
    gradient_descent_step_limit,
    gradient_descent_ill_conditioned,
    gradient_descent_stopping_distance,
    gradient_descent_jump,
    gradient_descent_saddle,
    gradient_descent_not_convex,
)
