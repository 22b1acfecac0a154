"""Counterexamples, in numbers, to the written study's mistakes and to common misreadings."""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.functional import hessian, jacobian

from models.theory.angles import (
    RADIANS_PER_DEGREE,
    angle_difference,
    angle_loss,
    written_angle_loss,
)
from models.theory.calculus import (
    Descent,
    Scalar,
    gradient_descent,
    observed_order,
    taylor2,
    taylor_terms,
)
from models.theory.gradient_descent_exercises import saddle
from models.theory.taylor_exercises import circle, square_plus_power


class Counterexample(NamedTuple):
    """A wrong claim, its correction, and numbers for both."""

    name: str
    claim: str
    correction: str
    numbers: dict[str, float]


def counterexamples() -> list[Counterexample]:
    """Mistakes of the written study, and common misreadings of its exercises."""
    return [
        _missing_half(),
        _wrong_radians(),
        _nothing_wraps(),
        _jump(),
        _stop_at_a_saddle(),
        _stop_of_a_slow_descent(),
        _semidefinite_hessian(),
    ]


def _without_half(f: Scalar, x: Tensor, step: Tensor) -> Tensor:
    """The expansion as in the written study, for x and step (n,)."""
    return torch.stack(taylor_terms(f, x, step)).sum()


def _square(x: Tensor) -> Tensor:
    return x.square().sum()


def _exponential(x: Tensor) -> Tensor:
    return x.exp().sum()


def _missing_half() -> Counterexample:
    x, step = _double(1), _double(0.1)
    numbers = {
        "square_true": _square(x + step),
        "square_without_half": _without_half(_square, x, step),
        "square_with_half": taylor2(_square, x, step),
        "exponential_order_without_half": observed_order(
            _without_half, _exponential, x, step / 100
        ),
        "exponential_order_with_half": observed_order(taylor2, _exponential, x, step / 100),
    }
    return Counterexample(
        "taylor_without_half",
        "The second-order expansion is f(x) + grad f(x) . s + s . H s, as the study writes it.",
        "It is f(x) + grad f(x) . s + s . H s / 2: only with the factor 1/2 is the remainder "
        "O(|s|^3) for the step s; without it, the remainder is only O(|s|^2). Here f(x) = x^2 at 1 "
        "with the step 0.1, and exp(x) at 1.",
        _floats(numbers),
    )


def _wrong_radians() -> Counterexample:
    numbers = {}
    for name, predicted, target in (("0_and_2", 0, 2), ("2_and_360", 2, 360)):
        angles = _double(predicted), _double(target)
        numbers[f"loss_of_{name}_by_180"] = written_angle_loss(*angles)
        numbers[f"loss_of_{name}_by_360"] = written_angle_loss(*angles, RADIANS_PER_DEGREE)
    return Counterexample(
        "degrees_by_180",
        "An angle in degrees is 2 pi deg / 180 in radians, as the study converts it.",
        "It is 2 pi deg / 360. With 180 the angle counts twice. Then the study's loss "
        "min(diff, 2 pi - diff), diff the absolute difference, gives 0 and 2 degrees twice the "
        "arc between them, and 2 and 360 degrees, which are as near, a negative loss.",
        _floats(numbers),
    )


def _nothing_wraps() -> Counterexample:
    numbers = {}
    for predicted in (365, 725):
        angles = _double(predicted), _double(5)
        numbers[f"{predicted}_and_5_as_written"] = written_angle_loss(*angles, RADIANS_PER_DEGREE)
        wrapped = angle_difference(*angles)
        numbers[f"{predicted}_and_5_wrapped"] = written_angle_loss(
            wrapped, wrapped * 0, RADIANS_PER_DEGREE
        )
        numbers[f"{predicted}_and_5_by_cosine"] = angle_loss(*angles)
    return Counterexample(
        "angles_of_several_turns",
        "With the right factor, min(diff, 2 pi - diff) is a loss that respects 0 = 360.",
        "Only for angles at most 360 degrees apart. Nothing wraps a larger diff: 725 and 5 degrees "
        "are the same direction, but get a negative loss, which more turns lower without limit. It "
        "is right if diff is first wrapped to at most half a turn; 1 - cos(diff) needs no wrap.",
        _floats(numbers),
    )


def _jump() -> Counterexample:
    found = gradient_descent(_square, _double(1), 1, 1e-9, 100)
    return Counterexample(
        "stopping_rule_after_a_jump",
        "Where |f(theta_k) - f(theta_{k-1})| < eps, gradient descent is near a minimum.",
        "Equal values do not mean equal theta. On x^2, with lambda = 2, from 1 with "
        "alpha = 2 / lambda = 1, theta jumps to -1, where f is the same; the rule stops there. The "
        "gradient is not small.",
        _end(found, _square) | {"minimum": 0.0},
    )


def _stop_at_a_saddle() -> Counterexample:
    start = torch.tensor([1, 0], dtype=torch.double)
    found = gradient_descent(saddle, start, 0.25, 1e-9, 100)
    beside = torch.tensor([0, 0.1], dtype=torch.double)
    numbers = {
        "smallest_eigenvalue": torch.linalg.eigvalsh(hessian(saddle, found.theta)).min(),
        "f_at_(0,0.1)": saddle(beside),
    }
    return Counterexample(
        "stopping_rule_at_a_saddle",
        "Where |f(theta_k) - f(theta_{k-1})| < eps and the gradient is small, theta is near a "
        "minimum.",
        "It may be near a saddle. On x^2 - y^2 from (1, 0) with alpha = 0.25 and eps = 1e-9, y "
        "stays 0 and the rule stops next to (0, 0). There the Hessian has a negative eigenvalue, "
        "and f is lower at (0, 0.1).",
        _end(found, saddle) | _floats(numbers),
    )


def _narrow_valley(point: Tensor) -> Tensor:
    """(x^2 + 1e4 y^2) / 2 at a point (2,)."""
    return point.square() @ torch.tensor([1, 1e4], dtype=torch.double) / 2


def _stop_of_a_slow_descent() -> Counterexample:
    start = torch.tensor([1, 1], dtype=torch.double)
    found = gradient_descent(_narrow_valley, start, 1e-4, 2e-4, 100)
    return Counterexample(
        "stopping_rule_of_a_slow_descent",
        "With alpha < 2 / lambda_max the rule stops near the minimum.",
        "Only as near as sqrt(2 eps / m) with m = min_i alpha lambda_i^2 (2 - alpha lambda_i). On "
        "(x^2 + 1e4 y^2) / 2, with the condition number 1e4, from (1, 1) with alpha = 1e-4 and "
        "eps = 2e-4, this is 1.4: the rule stops as soon as y is 0, with x nearly as at the start.",
        _end(found, _narrow_valley) | {"minimum": 0.0},
    )


def _end(found: Descent, f: Scalar) -> dict[str, float]:
    """Where a descent on f of one or two variables ended."""
    numbers: dict[str, float] = {"steps": found.steps}
    numbers |= dict(zip("xy", found.theta.tolist(), strict=False))
    gradient = jacobian(f, found.theta)
    return numbers | _floats({"f": found.values[-1], "gradient": gradient.norm()})


def _semidefinite_hessian() -> Counterexample:
    axes, center = torch.eye(2, dtype=torch.double), torch.zeros(2, dtype=torch.double)
    numbers = {}
    for name, power, sign in (("x2_plus_y4", 4, 1), ("x2_minus_y4", 4, -1), ("x2_plus_y3", 3, 1)):
        f = partial(square_plus_power, power, sign, axes, center)
        eigenvalues = torch.linalg.eigvalsh(hessian(f, center))
        numbers[f"{name}_smallest_eigenvalue"] = eigenvalues.min()
        numbers[f"{name}_smallest_rise"] = f(circle(0.1)).min() - f(center)
    return Counterexample(
        "semidefinite_hessian",
        "A stationary point whose Hessian has no negative eigenvalue is a minimum.",
        "Only if all eigenvalues are positive. With an eigenvalue of 0 higher derivatives decide: "
        "x^2 + y^4, x^2 - y^4 and x^2 + y^3 have the same Hessian at 0, with eigenvalues 0 and 2, "
        "but on a circle of radius 0.1 around it the first only rises, the others also fall.",
        _floats(numbers),
    )


def _double(number: float) -> Tensor:
    return torch.tensor([number], dtype=torch.double)


def _floats(numbers: dict[str, Tensor]) -> dict[str, float]:
    return {name: number.item() for name, number in numbers.items()}
