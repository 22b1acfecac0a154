"""The written exercises on linear maps, the angle loss, and the chain rule."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Generator, Tensor
from torch.autograd.functional import jacobian, vjp

from models.theory import chain_rules
from models.theory.angles import (
    RADIANS_PER_DEGREE,
    angle_difference,
    angle_loss,
    written_angle_loss,
)
from models.theory.chain_rules import SmoothFunction
from models.theory.exercises import (
    VARIABLES,
    Layer,
    difference,
    exercise,
    integer,
    normal,
    smooth,
    two_layers,
    uniform,
    wrong,
)

LARGE_DEPTH = 40  # functions in the deepest composition
ZERO = torch.zeros(VARIABLES, dtype=torch.double)
NO_SLOPE = torch.zeros(VARIABLES, VARIABLES, dtype=torch.double)
CONSTANT = SmoothFunction(w=NO_SLOPE, a=NO_SLOPE, b=NO_SLOPE, c=ZERO)


def layers(first: Layer, second: Layer, x: Tensor) -> Tensor:
    """W2 (W1 x + b1) + b2, of shape (m,), for x (n,)."""
    for weight, bias in (first, second):
        x = weight @ x + bias
    return x


@exercise("Linear after linear is linear: the matrix is W2 W1.", 1e-12)
def linear_after_linear(generator: Generator, cases: int) -> Iterator[Tensor]:
    """Value, Jacobian, additivity and homogeneity of two linear maps; errors of shape ()."""
    for _ in range(cases):
        (w1, b1), (w2, b2) = two_layers(generator)
        composed = partial(layers, (w1, b1 * 0), (w2, b2 * 0))
        x, y, c = *normal(generator, 2, w1.shape[1]), normal(generator)
        yield difference(composed(x), (w2 @ w1) @ x)
        yield difference(jacobian(composed, x), w2 @ w1)
        yield difference(composed(x + y), composed(x) + composed(y))
        yield difference(composed(c * x), c * composed(x))


@exercise("Affine after affine is affine: the matrix is W2 W1, the bias W2 b1 + b2.", 1e-12)
def affine_after_affine(generator: Generator, cases: int) -> Iterator[Tensor]:
    """Value, value at 0 and Jacobian of two affine maps; errors of shape ()."""
    for _ in range(cases):
        (w1, b1), (w2, b2) = two_layers(generator)
        composed = partial(layers, (w1, b1), (w2, b2))
        x = normal(generator, w1.shape[1])
        yield difference(composed(x), (w2 @ w1) @ x + (w2 @ b1 + b2))
        yield difference(composed(x * 0), w2 @ b1 + b2)
        yield difference(jacobian(composed, x), w2 @ w1)


@exercise(
    "An affine map with the bias b is linear only if b = 0: it misses additivity by b, and "
    "homogeneity with a factor c by (1 - c) b.",
    1e-12,
)
def affine_with_bias_is_not_linear(generator: Generator, cases: int) -> Iterator[Tensor]:
    """What an affine map with and without a bias misses; errors of shape ()."""
    for _ in range(cases):
        (w1, b1), (w2, b2) = two_layers(generator)
        x, y, c = *normal(generator, 2, w1.shape[1]), normal(generator)
        for b in (w2 @ b1 + b2, b2 * 0):
            affine = partial(layers, (w1, b1), (w2, b - w2 @ b1))
            yield difference(affine(x) + affine(y) - affine(x + y), b)
            yield difference(affine(c * x) - c * affine(x), (1 - c) * b)


def angle_pairs(generator: Generator, cases: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Predicted and target angles (n,) in degrees, first edge cases such as 359 and 1."""
    predicted = torch.tensor([359, 1, 0, 360, 0, 180, 90, 7], dtype=torch.double)
    yield predicted, torch.tensor([1, 359, 360, 0, 180, 0, 270, 7], dtype=torch.double)
    for _ in range(cases):
        predicted, target = uniform(generator, -720, 720, 2, integer(generator, 1, 5))
        yield predicted, target


@exercise(
    "The angle loss is the mean of 1 - cos(t) with t = 2 pi (predicted - target) / 360; its "
    "gradient by a predicted angle is 2 pi / 360 sin(t) / n.",
    1e-12,
)
def angle_loss_gradient(generator: Generator, cases: int) -> Iterator[Tensor]:
    """Loss and gradient by both angles against the formulas; errors of shape ()."""
    for predicted, target in angle_pairs(generator, cases):
        t = (predicted - target) * 2 * torch.pi / 360
        by_predicted, by_target = jacobian(angle_loss, (predicted, target))
        expected = 2 * torch.pi / 360 * t.sin() / len(t)
        yield difference(angle_loss(predicted, target), (1 - t.cos()).mean())
        yield difference(by_predicted, expected)
        yield difference(by_target, -expected)


@exercise("Whole turns change neither the angle loss nor its gradient: 0 is 360.", 1e-12)
def angle_loss_turns(generator: Generator, cases: int) -> Iterator[Tensor]:
    """Predictions moved by up to three whole turns; errors of shape ()."""
    for predicted, target in angle_pairs(generator, cases):
        turns = 360.0 * torch.randint(-3, 4, predicted.shape, generator=generator)
        loss, gradient = vjp(partial(angle_loss, target=target), predicted)
        turned_loss, turned_gradient = vjp(partial(angle_loss, target=target), predicted + turns)
        yield difference(turned_loss, loss)
        yield difference(turned_gradient, gradient)


@exercise("The gradient of the angle loss pulls a prediction to its target the shorter way.", 0)
def angle_loss_shorter_way(generator: Generator, cases: int) -> Iterator[Tensor]:
    """Signs of the gradient where one way is shorter; errors of shape ()."""
    for predicted, target in angle_pairs(generator, cases):
        ways = target - predicted + 360 * torch.arange(-4, 5).unsqueeze(1)
        shorter = ways.gather(0, ways.abs().argmin(0, keepdim=True)).squeeze(0)
        decided = (shorter != 0) & (shorter.abs() != 180)
        pull = -jacobian(partial(angle_loss, target=target), predicted)
        yield wrong(bool((pull.sign() != shorter.sign())[decided].any()))


@exercise(
    "The study's loss min(d, 2 pi - d) with d = 2 pi |predicted - target| / 360 is the shorter arc "
    "in radians if the angles are at most 360 degrees apart; further apart it is negative.",
    1e-12,
)
def written_angle_loss_range(generator: Generator, cases: int) -> Iterator[Tensor]:
    """The loss against the shorter arc, and its sign beyond 360 degrees; errors of shape ()."""
    for predicted, target in angle_pairs(generator, cases):
        found = written_angle_loss(predicted, target, RADIANS_PER_DEGREE)
        shorter = angle_difference(predicted, target).abs() * RADIANS_PER_DEGREE
        near = (predicted - target).abs() <= 360
        yield difference(found * near, shorter * near)
        yield wrong(bool((found[~near] >= 0).any()))


def chains(
    generator: Generator, cases: int, arguments: int
) -> Iterator[tuple[list[SmoothFunction], Tensor]]:
    """Functions to nest, of which the last has one argument, and an x (VARIABLES,)."""
    for depth in (1, LARGE_DEPTH, *(integer(generator, 1, 6) for _ in range(cases))):
        functions = [smooth(generator, arguments) for _ in range(depth - 1)]
        functions.append(smooth(generator, 1))
        yield functions, normal(generator, VARIABLES)
    yield functions, ZERO
    yield [*functions[:-1], CONSTANT], normal(generator, VARIABLES)


@exercise(
    "The Jacobian of f(x + y, 2x, z) by x is D1 f + 2 D2 f, for vectors x, y, z and f of 3 numbers "
    "each.",
    1e-12,
)
def chain_rule_shared_input(generator: Generator, cases: int) -> Iterator[Tensor]:
    """Autograd against the written rule, first at zero; errors of shape ()."""
    for x, y, z in (ZERO.expand(3, -1), *(normal(generator, 3, VARIABLES) for _ in range(cases))):
        f = smooth(generator, 3)
        found = jacobian(partial(chain_rules.shared_input, f, y=y, z=z), x)
        yield difference(found, chain_rules.shared_input_by_x(f, x, y, z))


@exercise(
    "The Jacobian of f1(f2(... fn(x))) is the matrix product Df1 Df2 ... Dfn in this order, each "
    "at its argument, for fi: R^3 -> R^3.",
    1e-12,
)
def chain_rule_nested(generator: Generator, cases: int) -> Iterator[Tensor]:
    """Autograd against the product of the Jacobians of 1 to 40 functions; errors of shape ()."""
    for functions, x in chains(generator, cases, 1):
        found = jacobian(partial(chain_rules.nested, functions), x)
        yield difference(found, chain_rules.nested_by_x(functions, x))


@exercise(
    "The Jacobian of f1(x, f2(x, ... f_{n-1}(x, fn(x)))) is the sum over i of "
    "D2 f1 ... D2 f_{i-1} D1 fi in this order, with Dfn as D1 fn, for vectors of 3 numbers.",
    1e-12,
)
def chain_rule_nested_with_input(generator: Generator, cases: int) -> Iterator[Tensor]:
    """Autograd against the sum over all places of x; errors of shape ()."""
    for functions, x in chains(generator, cases, 2):
        found = jacobian(partial(chain_rules.nested_with_input, functions), x)
        yield difference(found, chain_rules.nested_with_input_by_x(functions, x))


@exercise(
    "The Jacobian of f(x + g(x + h(x))) is Df(x + g(v)) (I + Dg(v) (I + Dh(x))) in this order, "
    "with v = x + h(x), for f, g, h: R^3 -> R^3.",
    1e-12,
)
def chain_rule_nested_sums(generator: Generator, cases: int) -> Iterator[Tensor]:
    """Autograd against the written rule, each function once constant; errors of shape ()."""
    for case in range(cases + 3):
        functions = [smooth(generator, 1) for _ in range(3)]
        if case < 3:  # each function is constant once
            functions[case] = CONSTANT
        f, g, h = functions
        for x in (normal(generator, VARIABLES), ZERO):
            found = jacobian(partial(chain_rules.nested_sums, f, g, h), x)
            yield difference(found, chain_rules.nested_sums_by_x(f, g, h, x))


EXERCISES = (
    linear_after_linear,
    affine_after_affine,
    affine_with_bias_is_not_linear,
    angle_loss_gradient,
    angle_loss_turns,
    angle_loss_shorter_way,
    written_angle_loss_range,
    chain_rule_shared_input,
    chain_rule_nested,
    chain_rule_nested_with_input,
    chain_rule_nested_sums,
)
