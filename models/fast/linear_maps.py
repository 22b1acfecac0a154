"""The linear maps of a stack of equal networks, on fixed memory: each is one batched product.

A map has weights with a leading axis, one entry per model. ``prepare`` copies the weights into the
matrix that the products use, ``bind`` returns the operations for one chunk of a batch, ``collect``
writes the gradients of the weights in torch's layout.
Activations are (models, n, features); a feature map within them is channels-last: (height, width,
channels).
"""

import math
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from models.fast.scratch import Operation, Scratch
from models.fast.window import Patches, Window


class Chunk(NamedTuple):
    """Input and output of a map for some images of a batch, and their gradients.

    Without ``grad_output`` only the forward operation may run. Without ``grad_input`` the gradient
    of the input is not computed. The ``first`` chunk of a batch overwrites the gradients of the
    weights, later ones add to them.
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
    """A linear map of every model of a stack."""

    def prepare(self) -> None:
        """Copy the present weights into the matrix of the products."""

    def bind(self, chunk: Chunk, scratch: Scratch) -> Operations:
        """The operations on this chunk's memory."""

    def collect(self) -> None:
        """Write the gradients of the weights in torch's layout."""


class _TwoLayouts(NamedTuple):
    """Views of the same shape into two copies of the same values."""

    ours: Tensor
    torchs: Tensor


class Dense:
    """A fully connected layer with bias: weights (models, out, in).

    ``input_shape`` and ``output_shape`` are the shapes of one image's values as torch has them.
    Where that is a map (channels, height, width), torch numbers the values channel by channel, and
    this package pixel by pixel.
    """

    def __init__(
        self,
        weight: tuple[Tensor, Tensor],
        bias: tuple[Tensor, Tensor],
        input_shape: tuple[int, ...],
        output_shape: tuple[int, ...],
    ):
        models, outputs, inputs = weight[0].shape
        self._matrix, self._matrix_gradient = weight[0].new_zeros(2, models, inputs, outputs)
        self._bias, self._bias_gradient = weight[0].new_zeros(2, models, 1, outputs)
        channels_in, pixels_in = _channels_and_pixels(input_shape)
        channels_out, pixels_out = _channels_and_pixels(output_shape)

        def weight_layouts(matrix: Tensor, torchs: Tensor) -> _TwoLayouts:
            """Both as (models, pixels in, channels in, pixels out, channels out)."""
            torchs = torchs.view(models, channels_out, pixels_out, channels_in, pixels_in)
            return _TwoLayouts(
                matrix.view(models, pixels_in, channels_in, pixels_out, channels_out),
                torchs.permute(0, 4, 3, 2, 1),
            )

        def bias_layouts(row: Tensor, torchs: Tensor) -> _TwoLayouts:
            """Both as (models, pixels out, channels out)."""
            return _TwoLayouts(
                row.view(models, pixels_out, channels_out),
                torchs.view(models, channels_out, pixels_out).transpose(1, 2),
            )

        self._values = [weight_layouts(self._matrix, weight[0]), bias_layouts(self._bias, bias[0])]
        self._gradients = [
            weight_layouts(self._matrix_gradient, weight[1]),
            bias_layouts(self._bias_gradient, bias[1]),
        ]

    def prepare(self) -> None:
        """Copy the present weights and biases into this package's numbering of values."""
        for layouts in self._values:
            layouts.ours.copy_(layouts.torchs)

    def bind(self, chunk: Chunk, scratch: Scratch) -> Operations:
        """One product forward; backward one for the weights, and one for the input."""
        inputs, outputs, grad_input, grad_output, first = chunk
        inputs_transposed = inputs.transpose(1, 2)
        matrix_transposed = self._matrix.transpose(1, 2)
        beta = 0 if first else 1  # the factor of the sum over earlier chunks

        def forward() -> None:
            torch.baddbmm(self._bias, inputs, self._matrix, out=outputs)

        def backward() -> None:
            assert grad_output is not None
            self._matrix_gradient.baddbmm_(inputs_transposed, grad_output, beta=beta)
            self._bias_gradient.mul_(beta).add_(grad_output.sum(1, keepdim=True))
            if grad_input is not None:
                torch.bmm(grad_output, matrix_transposed, out=grad_input)

        return Operations(forward, backward)

    def collect(self) -> None:
        """Write the gradients of weights and biases in torch's numbering of values."""
        for layouts in self._gradients:
            layouts.torchs.copy_(layouts.ours)


def _channels_and_pixels(shape: tuple[int, ...]) -> tuple[int, int]:
    return shape[0], math.prod(shape[1:])


class Convolution:
    """A convolution without its bias: weights (models, out, in, kernel, kernel).

    The window slides over the input. The matrix is (models, patch size, block * out), its gradient
    is stored transposed.
    """

    def __init__(self, window: Window, weight: tuple[Tensor, Tensor]):
        models, outputs = weight[0].shape[:2]
        self.window = window
        self._matrix = weight[0].new_zeros(models, window.patch_size, window.block * outputs)
        self._matrix_gradient = weight[0].new_zeros(
            models, window.block * outputs, window.patch_size
        )
        self._weight_entries = window.weight_entries(self._matrix, outputs)
        self._gradient_entries = window.weight_entries(
            self._matrix_gradient.transpose(1, 2), outputs
        )
        # (models, kernel, kernel, in, out)
        self._weight, self._weight_gradient = (t.permute(0, 3, 4, 2, 1) for t in weight)

    def prepare(self) -> None:
        """Copy the present weights into the matrix, once for each position of a block."""
        self._weight_entries.copy_(self._weight.unsqueeze(1).expand_as(self._weight_entries))

    def collect(self) -> None:
        """Write the gradients of the weights, summed over the positions of a block."""
        self._weight_gradient.copy_(self._gradient_entries.sum(1))

    def _patch_values(self, name: str, models: int, n: int, scratch: Scratch) -> Tensor:
        """Scratch (models, patches of n maps, patch size)."""
        return scratch.get(name, models, n * self.window.patches_per_map, self.window.patch_size)

    def _per_patch(self, values: Tensor) -> Tensor:
        """Small maps (models, n, features) as (models, patches of n maps, block * out)."""
        return values.view(len(values), -1, self._matrix.shape[2])

    def bind(self, chunk: Chunk, scratch: Scratch) -> Operations:
        """Gather the patches of the input and multiply; backward also scatter its gradient."""
        inputs, outputs, grad_input, grad_output, first = chunk
        models, n, _ = inputs.shape
        values = self._patch_values("patches", models, n, scratch)
        patches = Patches(self.window, inputs, values, scratch)
        products = self._per_patch(outputs)
        beta = 0 if first else 1  # the factor of the sum over earlier chunks

        def forward() -> None:
            patches.gather()
            torch.bmm(values, self._matrix, out=products)

        if grad_output is not None:
            grad_products = self._per_patch(grad_output)
        if grad_input is not None:
            grad_values = self._patch_values("patches' gradients", models, n, scratch)
            grad_patches = Patches(self.window, grad_input, grad_values, scratch)

        def backward() -> None:
            patches.gather()
            self._matrix_gradient.baddbmm_(grad_products.transpose(1, 2), values, beta=beta)
            if grad_input is not None:
                torch.bmm(grad_products, self._matrix.transpose(1, 2), out=grad_values)
                grad_patches.scatter()

        return Operations(forward, backward)


class TransposedConvolution(Convolution):
    """A transposed convolution without its bias: weights (models, in, out, kernel, kernel).

    The window slides over the output, so ``in`` and ``out`` change places in ``Convolution``.
    """

    def bind(self, chunk: Chunk, scratch: Scratch) -> Operations:
        """Multiply and scatter the patches into the output; backward gather its gradient."""
        inputs, outputs, grad_input, grad_output, first = chunk
        models, n, _ = inputs.shape
        values = self._patch_values("patches", models, n, scratch)
        patches = Patches(self.window, outputs, values, scratch)
        factors = self._per_patch(inputs)
        beta = 0 if first else 1  # the factor of the sum over earlier chunks

        def forward() -> None:
            torch.bmm(factors, self._matrix.transpose(1, 2), out=values)
            patches.scatter()

        if grad_output is not None:
            grad_patches = Patches(self.window, grad_output, values, scratch)
        if grad_input is not None:
            grad_factors = self._per_patch(grad_input)

        def backward() -> None:
            grad_patches.gather()
            self._matrix_gradient.baddbmm_(factors.transpose(1, 2), values, beta=beta)
            if grad_input is not None:
                torch.bmm(values, self._matrix, out=grad_factors)

        return Operations(forward, backward)
