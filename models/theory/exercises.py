"""What the checks of the written exercises are made of: statements, errors, random cases.

Everything is in double precision and drawn from a CPU generator.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from models.theory.chain_rules import SmoothFunction

Errors = Callable[[Generator, int], Iterator[Tensor]]
Layer = tuple[Tensor, Tensor]  # weight (outputs, inputs), bias (outputs,)


class Exercise(NamedTuple):
    """A statement in words, the errors of its cases, and how large one may be.

    ``errors`` takes a generator and the number of random cases, to which it adds edge cases, and
    yields tensors of shape (): a ``difference``, or whether a case is ``wrong``.
    """

    name: str
    statement: str
    errors: Errors
    tolerance: float


def exercise(statement: str, tolerance: float) -> Callable[[Errors], Exercise]:
    """Turn a function that yields errors into an exercise of the same name."""
    return lambda errors: Exercise(errors.__name__, statement, errors, tolerance)


def difference(actual: Tensor, expected: Tensor) -> Tensor:
    """The largest difference of two tensors of one shape, relative where expected exceeds 1."""
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    return (actual - expected).abs().max() / expected.abs().max().clamp_min(1)


def wrong(is_wrong: bool) -> Tensor:
    """1 for a wrong case, 0 for a right one."""
    return torch.tensor(is_wrong, dtype=torch.double)


def normal(generator: Generator, *shape: int) -> Tensor:
    """Standard normal numbers."""
    return torch.randn(shape, generator=generator, dtype=torch.double)


def uniform(generator: Generator, low: float, high: float, *shape: int) -> Tensor:
    """Numbers from low to high."""
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.double)


def integer(generator: Generator, low: int, high: int) -> int:
    """An integer from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=generator))


def orthogonal(generator: Generator, n: int) -> Tensor:
    """An orthogonal matrix (n, n)."""
    orthogonal_part: Tensor = torch.linalg.qr(normal(generator, n, n)).Q
    return orthogonal_part


def two_layers(generator: Generator) -> tuple[Layer, Layer]:
    """Layers that fit on each other, with 1 to 6 inputs, hidden values and outputs."""
    inputs, hidden, outputs = (integer(generator, 1, 6) for _ in range(3))
    first = normal(generator, hidden, inputs), normal(generator, hidden)
    return first, (normal(generator, outputs, hidden), normal(generator, outputs))


@dataclass(frozen=True)
class Quadratic:
    """f(x) = (x - center) . A (x - center) / 2 + level in n variables.

    A has the ``eigenvalues`` (n,), with the rows of ``vectors`` (n, n) as eigenvectors.
    """

    eigenvalues: Tensor
    vectors: Tensor
    center: Tensor
    level: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Values (...) at points (..., n)."""
        along = (x - self.center) @ self.vectors.T
        return along.square() @ self.eigenvalues / 2 + self.level

    def descent(self, x: Tensor, alpha: float, steps: int) -> Tensor:
        """center + (I - alpha A)^k (x - center) for k = 0, ..., steps, as (steps + 1, n)."""
        powers = (1 - alpha * self.eigenvalues) ** torch.arange(steps + 1).unsqueeze(1)
        return self.center + (powers * (self.vectors @ (x - self.center))) @ self.vectors


def quadratic(generator: Generator) -> Quadratic:
    """A positive definite one in 1 to 5 variables, with eigenvalues from 1 to 2."""
    n = integer(generator, 1, 5)
    eigenvalues = uniform(generator, 1, 2, n)
    center, level = normal(generator, n), normal(generator)
    return Quadratic(eigenvalues, orthogonal(generator, n), center, level)


def smooth(generator: Generator, variables: int) -> SmoothFunction:
    """One with partial derivatives from 0.3 to 1.7, so that long products keep their size."""
    w = uniform(generator, 0.8, 1.2, variables)
    a, c = uniform(generator, -0.25, 0.25, 2), normal(generator, 2)
    return SmoothFunction(w, a, uniform(generator, -1, 1, 2, variables), c)
