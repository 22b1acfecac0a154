"""Four ways to compose functions of vectors, and their Jacobians written out by the chain rule.

A Jacobian (outputs, inputs) has one row for each output. Products of Jacobians are matrix products,
so the order of their factors matters.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SmoothFunction:
    """f(u) = W u + A sin(B u + c) from k to n numbers: w (n, k), a (n, m), b (m, k), c (m,).

    It is called with one or more vectors that have k numbers together.
    """

    w: Tensor
    a: Tensor
    b: Tensor
    c: Tensor

    def __call__(self, *u: Tensor) -> Tensor:
        """The value (n,)."""
        point = torch.cat(u)
        return self.w @ point + self.a @ torch.sin(self.b @ point + self.c)

    def jacobian(self, *u: Tensor) -> Tensor:
        """The partial derivatives (n, k): W + A diag(cos(B u + c)) B."""
        return self.w + (self.a * torch.cos(self.b @ torch.cat(u) + self.c)) @ self.b


def shared_input(f: SmoothFunction, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """f(x + y, 2x, z), for x, y and z (n,)."""
    return f(x + y, 2 * x, z)


def shared_input_by_x(f: SmoothFunction, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Its Jacobian by x (n, n): D1 f + 2 D2 f at (x + y, 2x, z), Dk by the k-th argument."""
    first, second, _ = f.jacobian(x + y, 2 * x, z).chunk(3, dim=1)
    return first + 2 * second


def nested(functions: Sequence[SmoothFunction], x: Tensor) -> Tensor:
    """f1(f2(... fn(x))), of shape (n,), of one or more functions, for a vector x (n,)."""
    for f in reversed(functions):
        x = f(x)
    return x


def nested_by_x(functions: Sequence[SmoothFunction], x: Tensor) -> Tensor:
    """Its Jacobian (n, n): the product Df1 Df2 ... Dfn in order, Dfi at f_{i+1}(... fn(x))."""
    product = torch.eye(len(x), dtype=x.dtype)
    for i, f in enumerate(functions, start=1):
        product = product @ f.jacobian(nested(functions[i:], x))
    return product


def nested_with_input(functions: Sequence[SmoothFunction], x: Tensor) -> Tensor:
    """f1(x, f2(x, ... f_{n-1}(x, fn(x)))), of shape (k,), for x (k,).

    The last function has one argument, the others two.
    """
    *outer, last = functions
    inner = last(x)
    for f in reversed(outer):
        inner = f(x, inner)
    return inner


def nested_with_input_by_x(functions: Sequence[SmoothFunction], x: Tensor) -> Tensor:
    """Its Jacobian (k, k): the sum over i of D2 f1 ... D2 f_{i-1} D1 fi; D1 fn is Dfn.

    Every place where x is an argument gives one summand: the Jacobian by that argument, after the
    Jacobians of the functions outside by their second argument, the outermost first.
    """
    *outer, last = functions
    total = torch.zeros(len(x), len(x), dtype=x.dtype)
    outside = torch.eye(len(x), dtype=x.dtype)
    for i, f in enumerate(outer, start=1):
        by_x, by_inner = f.jacobian(x, nested_with_input(functions[i:], x)).chunk(2, dim=1)
        total = total + outside @ by_x
        outside = outside @ by_inner
    return total + outside @ last.jacobian(x)


def nested_sums(f: SmoothFunction, g: SmoothFunction, h: SmoothFunction, x: Tensor) -> Tensor:
    """f(x + g(x + h(x))) of functions from n to n numbers, for x (n,)."""
    return f(x + g(x + h(x)))


def nested_sums_by_x(f: SmoothFunction, g: SmoothFunction, h: SmoothFunction, x: Tensor) -> Tensor:
    """Its Jacobian (n, n): Df(x + g(v)) (I + Dg(v) (I + Dh(x))).

    With v = x + h(x) and the identity I.
    """
    identity, v = torch.eye(len(x), dtype=x.dtype), x + h(x)
    return f.jacobian(x + g(v)) @ (identity + g.jacobian(v) @ (identity + h.jacobian(x)))
