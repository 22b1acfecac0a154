"""The linear maps of a stack of equal networks, on fixed memory: each is one batched product.

A map is made for weights with a leading axis, one entry per model. ``prepare`` lays the weights
out for this step, ``bind`` gives the operations on one chunk of a batch, ``collect`` writes the
gradients.
Activations are (models, n, features); maps of features are channels-last within that.
"""

import math
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from models.fast.scratch import Operation, Scratch
from models.fast.window import Patches, Window


class Chunk(NamedTuple):
    """Where a map finds its input and output for some images of a batch, and their gradients.

    Without ``grad_output`` there is nothing to learn; without ``grad_input`` nobody asks for it.
    ``first`` images of a batch start the sums of the weights' gradients.
    """

    input: Tensor
    output: Tensor
    grad_input: Tensor | None
    grad_output: Tensor | None
    first: bool


class Operations(NamedTuple):
    """What a map does for a chunk."""

    forward: Operation
    backward: Operation


class LinearMap(Protocol):
    """Weights, laid out for products."""

    def prepare(self) -> None:
        """Lay the weights out as they are now."""

    def bind(self, chunk: Chunk, scratch: Scratch) -> Operations:
        """The operations between these places."""

    def collect(self) -> None:
        """Write the gradients of the weights."""


class Dense:
    """A fully connected layer with bias: weights (models, out, in).

    ``before`` and ``after`` are the shapes of one image's values on its two sides. Where that is a
    map (channels, height, width), torch numbers the values channel by channel, and this package
    pixel by pixel.
    """

    def __init__(
        self,
        weight: tuple[Tensor, Tensor],
        bias: tuple[Tensor, Tensor],
        before: tuple[int, ...],
        after: tuple[int, ...],
    ):
        models, outputs, inputs = weight[0].shape
        of, to = _channels_and_pixels(before), _channels_and_pixels(after)
        self._matrix, self._gradient = weight[0].new_zeros(2, models, inputs, outputs)
        self._bias, self._bias_gradient = weight[0].new_zeros(2, models, 1, outputs)
        matrices, rows = (models, *of[::-1], *to[::-1]), (models, *to[::-1])
        self._weight_copies = [
            (matrix.view(matrices), tensor.view(models, *to, *of).permute(0, 4, 3, 2, 1))
            for matrix, tensor in zip((self._matrix, self._gradient), weight, strict=True)
        ]
        self._bias_copies = [
            (row.view(rows), tensor.view(models, *to).transpose(1, 2))
            for row, tensor in zip((self._bias, self._bias_gradient), bias, strict=True)
        ]

    def prepare(self) -> None:
        for here, by_torch in (self._weight_copies[0], self._bias_copies[0]):
            here.copy_(by_torch)

    def bind(self, chunk: Chunk, scratch: Scratch) -> Operations:
        inputs, outputs, grad_input, grad_output, first = chunk
        transposed = inputs.transpose(1, 2)
        matrix_transposed = self._matrix.transpose(1, 2)
        kept = 0 if first else 1

        def forward() -> None:
            torch.baddbmm(self._bias, inputs, self._matrix, out=outputs)

        def backward() -> None:
            assert grad_output is not None
            self._gradient.baddbmm_(transposed, grad_output, beta=kept)
            self._bias_gradient.mul_(kept).add_(grad_output.sum(1, keepdim=True))
            if grad_input is not None:
                torch.bmm(grad_output, matrix_transposed, out=grad_input)

        return Operations(forward, backward)

    def collect(self) -> None:
        for here, by_torch in (self._weight_copies[1], self._bias_copies[1]):
            by_torch.copy_(here)


def _channels_and_pixels(shape: tuple[int, ...]) -> tuple[int, int]:
    return shape[0], math.prod(shape[1:])


class Convolution:
    """A convolution without its bias: weights (models, out, in, kernel, kernel)."""

    def __init__(self, window: Window, weight: tuple[Tensor, Tensor]):
        models, outputs = weight[0].shape[:2]
        self.window = window
        self._matrix = weight[0].new_zeros(models, window.patch_size, window.block * outputs)
        self._gradient = weight[0].new_zeros(models, window.block * outputs, window.patch_size)
        self._place = window.places(self._matrix, outputs)
        self._gradient_place = window.places(self._gradient.transpose(1, 2), outputs)
        self._weight, self._weight_gradient = (t.permute(0, 3, 4, 2, 1) for t in weight)

    def prepare(self) -> None:
        self._place.copy_(self._weight.unsqueeze(1).expand_as(self._place))

    def collect(self) -> None:
        self._weight_gradient.copy_(self._gradient_place.sum(1))

    def _patches(self, name: str, models: int, n: int, scratch: Scratch) -> Tensor:
        return scratch.get(name, models, n * self.window.patches, self.window.patch_size)

    def _per_patch(self, values: Tensor) -> Tensor:
        """Small maps (models, n, count * count * outputs) as (models, patches, block * outputs)."""
        return values.view(len(values), -1, self._matrix.shape[2])

    def bind(self, chunk: Chunk, scratch: Scratch) -> Operations:
        inputs, outputs, grad_input, grad_output, first = chunk
        models, n, _ = inputs.shape
        values = self._patches("patches", models, n, scratch)
        patches = Patches(self.window, inputs, values, scratch)
        products = self._per_patch(outputs)
        kept = 0 if first else 1

        def forward() -> None:
            patches.gather()
            torch.bmm(values, self._matrix, out=products)

        if grad_output is not None:
            grad_products = self._per_patch(grad_output)
        if grad_input is not None:
            grad_values = self._patches("patches' gradients", models, n, scratch)
            grad_patches = Patches(self.window, grad_input, grad_values, scratch)

        def backward() -> None:
            patches.gather()
            self._gradient.baddbmm_(grad_products.transpose(1, 2), values, beta=kept)
            if grad_input is not None:
                torch.bmm(grad_products, self._matrix.transpose(1, 2), out=grad_values)
                grad_patches.scatter()

        return Operations(forward, backward)


class TransposedConvolution(Convolution):
    """A transposed convolution without its bias: weights (models, in, out, kernel, kernel).

    Its window slides over the output.
    """

    def bind(self, chunk: Chunk, scratch: Scratch) -> Operations:
        inputs, outputs, grad_input, grad_output, first = chunk
        models, n, _ = inputs.shape
        values = self._patches("patches", models, n, scratch)
        patches = Patches(self.window, outputs, values, scratch)
        factors = self._per_patch(inputs)
        kept = 0 if first else 1

        def forward() -> None:
            torch.bmm(factors, self._matrix.transpose(1, 2), out=values)
            patches.scatter()

        if grad_output is not None:
            grad_patches = Patches(self.window, grad_output, values, scratch)
        if grad_input is not None:
            grad_factors = self._per_patch(grad_input)

        def backward() -> None:
            grad_patches.gather()
            self._gradient.baddbmm_(factors.transpose(1, 2), values, beta=kept)
            if grad_input is not None:
                torch.bmm(values, self._matrix, out=grad_factors)

        return Operations(forward, backward)
