"""Losses of a stack of networks with their gradients by the values z of the last linear map."""

import torch
from torch import Tensor

from models.fast.scratch import Operation, Scratch
from models.objectives.cross_entropy import CrossEntropy


class ReconstructionLoss:
    """Mean squared error per value of sigmoid(z + bias), a mean over ``n`` images.

    ``bias`` (models, channels) and its gradient are those that the last map leaves out.
    """

    def __init__(self, bias: tuple[Tensor, Tensor] | None):
        if bias is None:
            raise TypeError("a network that reconstructs ends in a convolution and a sigmoid")
        self._bias, self._bias_gradient = (tensor.unsqueeze(1) for tensor in bias)

    def outputs(self, z: Tensor) -> None:
        """Turn z (models, n, values) into images in (0, 1), in place."""
        z.add_(self._bias).sigmoid_()

    def bind(
        self, z: Tensor, target: Tensor, grad_z: Tensor, total: Tensor, n: int, scratch: Scratch
    ) -> Operation:
        """Add the loss of some images to ``total`` (models,), and the gradient of the bias."""
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
    """Cross entropy of logits z, a mean over ``n`` images. Autograd gives its gradient."""

    def __init__(self, objective: CrossEntropy):
        self._objective = objective

    def bind(
        self, z: Tensor, target: Tensor, grad_z: Tensor, total: Tensor, n: int, scratch: Scratch
    ) -> Operation:
        """Add the loss of some images to ``total`` (models,)."""

        def operation() -> None:
            with torch.enable_grad():
                logits = z.detach().requires_grad_()
                loss = self._objective(logits, target) * (z.shape[1] / n)
                (gradient,) = torch.autograd.grad(loss.sum(), logits)
            grad_z.copy_(gradient)
            total.add_(loss.detach())

        return operation
