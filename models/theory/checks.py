"""The written study's exercises, checked numerically."""

from typing import NamedTuple

import torch
from torch import Generator

from models.theory import function_exercises, gradient_descent_exercises, taylor_exercises
from models.theory.exercises import Exercise

EXERCISES = (
    *function_exercises.EXERCISES,
    *gradient_descent_exercises.EXERCISES,
    *taylor_exercises.EXERCISES,
)


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


def check_theory(generator: Generator, cases: int = 100) -> list[Check]:
    """Check every exercise on random cases, drawn from a CPU generator, and on edge cases.

    Raises ValueError for fewer than one random case.
    """
    return [check(exercise, generator, cases) for exercise in EXERCISES]


def check(exercise: Exercise, generator: Generator, cases: int) -> Check:
    """Check one exercise, as ``check_theory`` does.

    Raises ValueError for fewer than one random case.
    """
    if cases < 1:
        raise ValueError(f"a check needs at least one random case, not {cases}")
    # torch's max returns NaN if there is one; Python's may skip it.
    largest = torch.stack(list(exercise.errors(generator, cases))).max().item()
    return Check(exercise.name, exercise.statement, largest, exercise.tolerance)
