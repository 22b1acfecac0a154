"""Losses of a stack of networks, and their gradients by the values z of the last linear map."""

import torch
from torch import Tensor

from models.fast.scratch import Operation, Scratch
from models.objectives.cross_entropy import CrossEntropy


class ReconstructionLoss:
    """Mean squared error per value of sigmoid(z + bias), a mean over the ``n`` images of a batch.

    ``bias`` (models, 1) and its gradient belong to the last convolution, which leaves its bias out
    and has one output channel. Raises TypeError without them.
    """

    def __init__(self, bias: tuple[Tensor, Tensor] | None):
        if bias is None:
            raise TypeError("a network that reconstructs must end in a convolution and a sigmoid")
        self._bias, self._bias_gradient = (tensor.unsqueeze(1) for tensor in bias)

    def outputs(self, z: Tensor) -> None:
        """Turn z (models, n, values) into images in (0, 1), in place."""
        z.add_(self._bias).sigmoid_()

    def bind(
        self, z: Tensor, target: Tensor, grad_z: Tensor, total: Tensor, n: int, scratch: Scratch
    ) -> Operation:
        """Add the loss of a chunk to ``total`` (models,), and its part to the bias gradient.

        ``z``, ``target`` and ``grad_z`` are (models, images of the chunk, values); z becomes the
        output.
        """
        difference = scratch.get("difference", *z.shape)
        values = n * z.shape[2]

        def operation() -> None:
            self.outputs(z)
            torch.sub(z, target, out=difference)
            total.add_(difference.square().sum((1, 2)), alpha=1 / values)
            difference.mul_(2 / values)
            torch.ops.aten.sigmoid_backward.grad_input(difference, z, grad_input=grad_z)
            self._bias_gradient.add_(grad_z.sum((1, 2), keepdim=True))

        return operation


class ClassificationLoss:
    """A loss of outputs z and labels, a mean over the ``n`` images of a batch, by autograd."""

    def __init__(self, objective: CrossEntropy):
        self._objective = objective

    def bind(
        self, z: Tensor, target: Tensor, grad_z: Tensor, total: Tensor, n: int, scratch: Scratch
    ) -> Operation:
        """Add the loss of a chunk to ``total`` (models,).

        ``z`` and ``grad_z`` are (models, images of the chunk, classes), ``target`` is (models,
        images of the chunk).
        """

        def operation() -> None:
            with torch.enable_grad():
                logits = z.detach().requires_grad_()
                loss = self._objective.of_logits(logits, target) * (z.shape[1] / n)
                (gradient,) = torch.autograd.grad(loss.sum(), logits)
            grad_z.copy_(gradient)
            total.add_(loss.detach())

        return operation
