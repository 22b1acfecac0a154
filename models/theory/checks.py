"""The written study's exercises, checked numerically, and counterexamples to wrong claims."""

from functools import partial
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.autograd.functional import hessian

from models.theory import function_exercises, optimization_exercises
from models.theory.angles import angle_loss
from models.theory.calculus import Scalar, observed_order, taylor2, taylor_terms
from models.theory.exercises import Exercise
from models.theory.optimization_exercises import circle, square_plus_power


class Check(NamedTuple):
    """A statement of the exercises and its largest error over all cases."""

    name: str
    statement: str
    largest_error: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether no error exceeds the tolerance. An error that is NaN exceeds it."""
        return self.largest_error <= self.tolerance


class Counterexample(NamedTuple):
    """A wrong claim, its correction, and numbers for both."""

    name: str
    claim: str
    correction: str
    numbers: dict[str, float]


def check_theory(generator: Generator, cases: int = 100) -> list[Check]:
    """Check every exercise on random cases, drawn from a CPU generator, and on edge cases.

    Raises ValueError for fewer than one random case.
    """
    if cases < 1:
        raise ValueError(f"a check needs at least one random case, not {cases}")
    exercises = (*function_exercises.EXERCISES, *optimization_exercises.EXERCISES)
    return [_check(exercise, generator, cases) for exercise in exercises]


def _check(exercise: Exercise, generator: Generator, cases: int) -> Check:
    # torch's max returns NaN if there is one; Python's may skip it.
    largest = torch.stack(list(exercise.errors(generator, cases))).max().item()
    return Check(exercise.name, exercise.statement, largest, exercise.tolerance)


def counterexamples() -> list[Counterexample]:
    """The written study's two mistakes, and a common misreading of the Hessian."""
    return [_missing_half(), _wrong_radians(), _semidefinite_hessian()]


def _without_half(f: Scalar, x: Tensor, step: Tensor) -> Tensor:
    """The expansion as in the written study, for x and step (n,)."""
    return torch.stack(taylor_terms(f, x, step)).sum()


def _square(x: Tensor) -> Tensor:
    return x.square().sum()


def _exponential(x: Tensor) -> Tensor:
    return x.exp().sum()


def _missing_half() -> Counterexample:
    x, step = torch.tensor([[1], [0.1]], dtype=torch.double)
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
        "It is f(x) + grad f(x) . s + s . H s / 2: only with the factor 1/2 does the remainder "
        "shrink as the cube of the step s; without it, as the square. Here f(x) = x^2 at 1 with "
        "the step 0.1, and exp(x) at 1.",
        _floats(numbers),
    )


def _loss_of_radians(degrees: Tensor, radians_per_degree: float) -> Tensor:
    """Mean of 1 - cos of angles (n,) in degrees, converted to radians by the given factor."""
    return (1 - (degrees * radians_per_degree).cos()).mean()


def _wrong_radians() -> Counterexample:
    numbers = {}
    for degrees in (90, 180, 360):
        angle = torch.tensor([degrees], dtype=torch.double)
        numbers[f"loss_of_{degrees}_by_180"] = _loss_of_radians(angle, 2 * torch.pi / 180)
        numbers[f"loss_of_{degrees}_by_360"] = angle_loss(angle, torch.zeros_like(angle))
    return Counterexample(
        "degrees_by_180",
        "An angle in degrees is 2 pi deg / 180 in radians, as the study converts it.",
        "It is 2 pi deg / 360. With 180 the angle counts twice: for the loss 1 - cos against a "
        "target of 0, opposite directions get no loss, and 90 degrees the largest.",
        _floats(numbers),
    )


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


def _floats(numbers: dict[str, Tensor]) -> dict[str, float]:
    return {name: number.item() for name, number in numbers.items()}
