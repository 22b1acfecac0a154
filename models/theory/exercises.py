"""The parts of every check of a written exercise: statements, errors, random cases.

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
VARIABLES = 3  # of the functions in chain rules: with 1, products in any order are equal


class Exercise(NamedTuple):
    """A statement in words, the errors of its cases, and the largest error that is tolerated.

    ``errors`` takes a generator and the number of random cases, adds edge cases, and yields tensors
    of shape (): a ``difference``, or whether a case is ``wrong``.
    """

    name: str
    statement: str
    errors: Errors
    tolerance: float


def exercise(statement: str, tolerance: float) -> Callable[[Errors], Exercise]:
    """Turn a function that yields errors into an exercise of the same name."""
    return lambda errors: Exercise(errors.__name__, statement, errors, tolerance)


def difference(actual: Tensor, expected: Tensor) -> Tensor:
    """The largest absolute difference of two tensors of the same shape, as a tensor of shape ().

    It is relative to the largest expected value if that exceeds 1.
    """
    assert actual.shape == expected.shape, (actual.shape, expected.shape)
    return (actual - expected).abs().max() / expected.abs().max().clamp_min(1)


def wrong(is_wrong: bool) -> Tensor:
    """1 for a wrong case, 0 for a right one, as a tensor of shape ()."""
    return torch.tensor(is_wrong, dtype=torch.double)


def normal(generator: Generator, *shape: int) -> Tensor:
    """Standard normal numbers of any shape."""
    return torch.randn(shape, generator=generator, dtype=torch.double)


def uniform(generator: Generator, low: float, high: float, *shape: int) -> Tensor:
    """Uniform numbers from low to high, of any shape."""
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.double)


def integer(generator: Generator, low: int, high: int) -> int:
    """A uniform integer from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=generator))


def orthogonal(generator: Generator, n: int) -> Tensor:
    """A random orthogonal matrix (n, n)."""
    matrix: Tensor = torch.linalg.qr(normal(generator, n, n)).Q
    return matrix


def two_layers(generator: Generator) -> tuple[Layer, Layer]:
    """Two layers, the second on the outputs of the first; 1 to 6 inputs, hidden values, outputs."""
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
    """A positive definite quadratic function of 1 to 5 variables, with eigenvalues from 1 to 2."""
    return _with_eigenvalues(generator, uniform(generator, 1, 2, integer(generator, 1, 5)))


def ill_conditioned(generator: Generator) -> Quadratic:
    """A quadratic function of 4 variables with the eigenvalues 1, two from 5000 to 1e4, and 1e4."""
    between = uniform(generator, 5e3, 1e4, 2)
    ends = torch.tensor([1, 1e4], dtype=torch.double)
    return _with_eigenvalues(generator, torch.cat([ends[:1], between, ends[1:]]))


def _with_eigenvalues(generator: Generator, eigenvalues: Tensor) -> Quadratic:
    n = len(eigenvalues)
    center, level = normal(generator, n), normal(generator)
    return Quadratic(eigenvalues, orthogonal(generator, n), center, level)


def smooth(generator: Generator, arguments: int) -> SmoothFunction:
    """A function of some vectors of VARIABLES numbers, with values of the same size.

    Its Jacobian by each argument is about orthogonal, so that long products stay near 1.
    """
    w = [uniform(generator, 0.8, 1.2) * orthogonal(generator, VARIABLES) for _ in range(arguments)]
    a, c = uniform(generator, -0.2, 0.2, VARIABLES, 2), normal(generator, 2)
    return SmoothFunction(
        torch.cat(w, dim=1), a, uniform(generator, -1, 1, 2, arguments * VARIABLES), c
    )
