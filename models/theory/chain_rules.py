"""Four ways to compose functions, and their derivatives written out by the chain rule."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class SmoothFunction:
    """f(u) = w . u + sum_j a_j sin(b_j . u + c_j) of k variables: w (k,), a (m,), b (m, k), c (m,).

    It is called with k tensors of shape ().
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
    """f(x + y, 2x, z), for x, y and z of shape ()."""
    return f(x + y, 2 * x, z)


def shared_input_by_x(f: SmoothFunction, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Its derivative by x: D1 f + 2 D2 f at (x + y, 2x, z), with Dk the k-th partial derivative."""
    first, second, _ = f.gradient(x + y, 2 * x, z).unbind()
    return first + 2 * second


def nested(functions: Sequence[SmoothFunction], x: Tensor) -> Tensor:
    """f1(f2(... fn(x))) of one or more functions of one variable, for x of shape ()."""
    for f in reversed(functions):
        x = f(x)
    return x


def nested_by_x(functions: Sequence[SmoothFunction], x: Tensor) -> Tensor:
    """Its derivative: the product over i of fi' at f_{i+1}(... fn(x))."""
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
    """Its derivative: the sum over i of D1 fi times the product of D2 fj over j < i; D1 fn is fn'.

    Every place where x is an argument gives one summand: the derivative by that argument, times
    the derivatives of the functions outside by their second argument.
    """
    *outer, last = functions
    total, outer_slopes = torch.zeros_like(x), torch.ones_like(x)
    for i, f in enumerate(outer, start=1):
        by_x, by_inner = f.gradient(x, nested_with_input(functions[i:], x))
        total = total + outer_slopes * by_x
        outer_slopes = outer_slopes * by_inner
    return total + outer_slopes * last.gradient(x).squeeze()


def nested_sums(f: SmoothFunction, g: SmoothFunction, h: SmoothFunction, x: Tensor) -> Tensor:
    """f(x + g(x + h(x))) of functions of one variable, for x of shape ()."""
    return f(x + g(x + h(x)))


def nested_sums_by_x(f: SmoothFunction, g: SmoothFunction, h: SmoothFunction, x: Tensor) -> Tensor:
    """Its derivative: f'(x + g(v)) (1 + g'(v) (1 + h'(x))) with v = x + h(x)."""
    v = x + h(x)
    slope = f.gradient(x + g(v)) * (1 + g.gradient(v) * (1 + h.gradient(x)))
    return slope.squeeze()
