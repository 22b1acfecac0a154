"""Four ways to compose functions, and their derivatives written out by the chain rule."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SmoothFunction:
    """f(u) = w . u + sum_j a_j sin(b_j . u + c_j) of k variables: w (k,), a (m,), b (m, k), c (m,).

    Called with k tensors of shape ().
    """

    w: Tensor
    a: Tensor
    b: Tensor
    c: Tensor

    def __call__(self, *u: Tensor) -> Tensor:
        """The value, of shape ()."""
        point = torch.stack(u)
        return self.w @ point + self.a @ torch.sin(self.b @ point + self.c)

    def gradient(self, *u: Tensor) -> Tensor:
        """The partial derivatives (k,)."""
        return self.w + (self.a * torch.cos(self.b @ torch.stack(u) + self.c)) @ self.b


def shared_input(f: SmoothFunction, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """f(x + y, 2x, z)."""
    return f(x + y, 2 * x, z)


def shared_input_by_x(f: SmoothFunction, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """D1 f + 2 D2 f at (x + y, 2x, z), with the partial derivatives D1, D2, D3 of f."""
    first, second, _ = f.gradient(x + y, 2 * x, z).unbind()
    return first + 2 * second


def nested(functions: Sequence[SmoothFunction], x: Tensor) -> Tensor:
    """f1(f2(... fn(x))) of one or more functions of one variable."""
    for f in reversed(functions):
        x = f(x)
    return x


def nested_by_x(functions: Sequence[SmoothFunction], x: Tensor) -> Tensor:
    """The product over i of fi' at f_{i+1}(... fn(x))."""
    slopes = [f.gradient(nested(functions[i:], x)) for i, f in enumerate(functions, start=1)]
    return torch.cat(slopes).prod()


def nested_with_input(functions: Sequence[SmoothFunction], x: Tensor) -> Tensor:
    """f1(x, f2(x, ... f_{n-1}(x, fn(x)))): the last function has one variable, the others two."""
    *outer, last = functions
    inner = last(x)
    for f in reversed(outer):
        inner = f(x, inner)
    return inner


def nested_with_input_by_x(functions: Sequence[SmoothFunction], x: Tensor) -> Tensor:
    """The sum over i of D1 fi times the product of D2 fj over j < i; D1 fn is fn'.

    One summand for each place where x enters: the slope there, and the slopes on the way out.
    """
    *outer, last = functions
    total, way_out = torch.zeros_like(x), torch.ones_like(x)
    for i, f in enumerate(outer, start=1):
        by_x, by_inner = f.gradient(x, nested_with_input(functions[i:], x))
        total = total + way_out * by_x
        way_out = way_out * by_inner
    return total + way_out * last.gradient(x).squeeze()


def nested_sums(f: SmoothFunction, g: SmoothFunction, h: SmoothFunction, x: Tensor) -> Tensor:
    """f(x + g(x + h(x))) of functions of one variable."""
    return f(x + g(x + h(x)))


def nested_sums_by_x(f: SmoothFunction, g: SmoothFunction, h: SmoothFunction, x: Tensor) -> Tensor:
    """f'(x + g(v)) (1 + g'(v) (1 + h'(x))) with v = x + h(x)."""
    v = x + h(x)
    slope = f.gradient(x + g(v)) * (1 + g.gradient(v) * (1 + h.gradient(x)))
    return slope.squeeze()
