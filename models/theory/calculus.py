"""Gradient descent, the second-order Taylor expansion, and stationary points."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd import functional

Scalar = Callable[[Tensor], Tensor]  # a function from any shape to ()
StationaryPoint = Literal["minimum", "maximum", "saddle", "undecided"]


class Descent(NamedTuple):
    """The last theta, and f(theta_k) for k = 0, 1, ... as (steps + 1,).

    ``stopped`` says whether the stopping rule ended the descent.
    """

    theta: Tensor
    values: Tensor
    stopped: bool

    @property
    def steps(self) -> int:
        """Number of updates of theta."""
        return len(self.values) - 1


def gradient_descent(
    f: Scalar, theta: Tensor, alpha: float, eps: float, maximum_steps: int
) -> Descent:
    """Repeat theta_{k+1} = theta_k - alpha grad f(theta_k), in double precision, for any shape.

    Stops as soon as |f(theta_k) - f(theta_{k-1})| < eps, or after ``maximum_steps`` updates. With
    eps = 0, or where f overflows, this rule never stops it. A theta where the rule stops need not
    be near a minimum: with a small enough alpha the rule stops anywhere, at a saddle with any
    alpha, and also where theta jumped to another point of about the same value. Raises ValueError
    for alpha <= 0, and for eps or maximum_steps < 0.
    """
    if not (alpha > 0 and eps >= 0 and maximum_steps >= 0):
        given = f"alpha = {alpha}, eps = {eps}, maximum_steps = {maximum_steps}"
        raise ValueError(f"alpha must be positive, eps and maximum_steps at least 0, not {given}")
    theta = theta.detach().double()
    value, gradient = functional.vjp(f, theta)
    values = [value]
    stopped = False
    while not stopped and len(values) <= maximum_steps:
        theta = theta - alpha * gradient
        value, gradient = functional.vjp(f, theta)
        stopped = bool((value - values[-1]).abs() < eps)
        values.append(value)
    return Descent(theta, torch.stack(values), stopped)


class TaylorTerms(NamedTuple):
    """f(x), grad f(x) . step and step . H step, with the Hessian H of f at x; each of shape ()."""

    constant: Tensor
    linear: Tensor
    quadratic: Tensor


def taylor_terms(f: Scalar, x: Tensor, step: Tensor) -> TaylorTerms:
    """The terms of the second-order expansion around x (n,) for a step (n,), without factors."""
    value, gradient = functional.vjp(f, x)
    _, step_hessian = functional.vhp(f, x, step)
    return TaylorTerms(value, gradient @ step, step_hessian @ step)


def taylor2(f: Scalar, x: Tensor, step: Tensor) -> Tensor:
    """Second-order expansion f(x) + grad f(x) . step + step . H step / 2 for x and step (n,).

    Its remainder is O(|step|^3) where f has continuous third derivatives.
    """
    terms = taylor_terms(f, x, step)
    return terms.constant + terms.linear + terms.quadratic / 2


def classify_stationary_point(matrix: Tensor, tolerance: float = 1e-12) -> StationaryPoint:
    """The kind of a point with zero gradient, from the Hessian matrix (n, n) there.

    All eigenvalues positive: a minimum; all negative: a maximum; some of each: a saddle. Anything
    else is undecided: along an eigenvector with eigenvalue zero, higher derivatives decide.
    Eigenvalues smaller than ``tolerance`` times the largest count as zero, by absolute value.
    Raises ValueError unless the matrix is symmetric, not empty, and its numbers are finite.
    """
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] > 0
    if not square or not matrix.isfinite().all() or not torch.allclose(matrix, matrix.T):
        raise ValueError(
            f"a Hessian is a symmetric matrix of finite numbers, not {matrix.tolist()}"
        )
    eigenvalues = torch.linalg.eigvalsh(matrix.double())
    zero = tolerance * eigenvalues.abs().max()
    positive, negative = eigenvalues > zero, eigenvalues < -zero
    if positive.any() and negative.any():
        return "saddle"
    if positive.all():
        return "minimum"
    return "maximum" if negative.all() else "undecided"


def classify_by_sampling(f: Scalar, center: Tensor, offsets: Tensor) -> StationaryPoint:
    """The kind of a point ``center`` (n,) with zero gradient, from values of f around it.

    f maps (points, n) to (points,), and is sampled at center + offsets (points, n).
    """
    rises = f(center + offsets) - f(center)
    if (rises > 0).any() and (rises < 0).any():
        return "saddle"
    if (rises > 0).all():
        return "minimum"
    return "maximum" if (rises < 0).all() else "undecided"


def observed_order(
    approximation: Callable[[Scalar, Tensor, Tensor], Tensor], f: Scalar, x: Tensor, step: Tensor
) -> Tensor:
    """The p for which half the step makes the error of the approximation 2^p times smaller.

    ``approximation(f, x, step)`` approximates f(x + step) for x and step (n,).
    """
    errors = [(approximation(f, x, s) - f(x + s)).abs() for s in (step, step / 2)]
    return (errors[0] / errors[1]).log2()
