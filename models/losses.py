"""What a stack of networks learns from: the loss and its gradient by the last map's values."""

import torch
from torch import Tensor

from models.memory import Memory, Move


class SquaredError:
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
        self, z: Tensor, target: Tensor, grad_z: Tensor, total: Tensor, n: int, memory: Memory
    ) -> Move:
        """Add the loss of some images to ``total`` (models,), and the gradient of the bias."""
        difference = memory.get("difference", *z.shape)
        values = n * z.shape[2]

        def move() -> None:
            self.outputs(z)
            torch.sub(z, target, out=difference)
            total.add_(difference.square().sum((1, 2)), alpha=1 / values)
            difference.mul_(2 / values)
            torch.ops.aten.sigmoid_backward.grad_input(difference, z, grad_input=grad_z)
            self._bias_gradient.add_(grad_z.sum((1, 2), keepdim=True))

        return move


class CrossEntropy:
    """Cross entropy of logits z, a mean over ``n`` images.

    ``softmax_first`` repeats a mistake: cross entropy applies softmax, and gets its output.
    """

    def __init__(self, softmax_first: bool = False):
        self._softmax_first = softmax_first

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean over logits (..., n, classes) and labels (..., n), one per leading index."""
        scores = logits.softmax(-1) if self._softmax_first else logits
        chosen = scores.log_softmax(-1).gather(-1, labels.unsqueeze(-1))
        return -chosen.squeeze(-1).mean(-1)

    def bind(
        self, z: Tensor, target: Tensor, grad_z: Tensor, total: Tensor, n: int, memory: Memory
    ) -> Move:
        """Add the loss of some images to ``total`` (models,)."""

        def move() -> None:
            with torch.enable_grad():
                logits = z.detach().requires_grad_()
                loss = self(logits, target) * (z.shape[1] / n)
                (gradient,) = torch.autograd.grad(loss.sum(), logits)
            grad_z.copy_(gradient)
            total.add_(loss.detach())

        return move
