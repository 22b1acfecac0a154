"""What lies between two linear maps: batch norm and ReLU, on fixed memory, chunk by chunk.

An activation turns values z into inputs a of the next map. On the way back it turns the gradient of
a into d, the gradient behind ReLU, while the chunk is warm; batch norm's own gradient needs sums of
d over the whole batch and comes a pass later.
"""

import math

import torch
from torch import Tensor, nn

from models.fast.scratch import Operation, Scratch
from models.training.stacked_parameters import StackedParameters

_relu_gradient = torch.ops.aten.threshold_backward.grad_input


class ReLU:
    """Keeps what is positive."""

    def apply(self, z: Tensor, a: Tensor) -> Operation:
        """a = max(z, 0)."""
        return lambda: torch.clamp_min(z, 0, out=a)

    def mask(self, z: Tensor, a: Tensor, grad_a: Tensor, d: Tensor, scratch: Scratch) -> Operation:
        """d = gradient of z."""
        return lambda: _relu_gradient(grad_a, z, 0, grad_input=d)


class BatchNormReLU:
    """Batch norm over images and pixels of channels-last maps, then ReLU.

    The map before it, ``layer``, leaves out its bias, which batch norm takes away again: only the
    running mean shows it. Chunks are merged as Chan, Golub and LeVeque (1979) do.
    """

    def __init__(
        self,
        parameters: StackedParameters,
        name: str,
        layer: str,
        size: tuple[int, ...],
        norm: nn.BatchNorm2d,
    ):
        gain, offset = (parameters.weight(f"{name}.{part}") for part in ("weight", "bias"))
        self._gain, self._gain_gradient = (tensor.unsqueeze(1) for tensor in gain)
        self._offset, self._offset_gradient = (tensor.unsqueeze(1) for tensor in offset)
        self._bias = parameters.weight(f"{layer}.bias")[0].unsqueeze(1)
        buffers = parameters.buffers
        self._running_mean = buffers[f"{name}.running_mean"].unsqueeze(1)
        self._running_var = buffers[f"{name}.running_var"].unsqueeze(1)
        self._seen = buffers[f"{name}.num_batches_tracked"]
        self._eps, self._momentum = norm.eps, norm.momentum or 0.0
        pixels = math.prod(size)
        models, _, channels = self._gain.shape
        self._shape = models, 1, pixels, channels
        wide = [self._gain.new_zeros(models, 1, pixels * channels) for _ in range(5)]
        self._scale, self._shift, self._of_d, self._of_z, self._constant = wide
        self._moments: list[tuple[Tensor, Tensor]] = []
        self._counts: list[int] = []
        self._sums: list[tuple[Tensor, Tensor]] = []

    def _per_pixel(self, values: Tensor) -> Tensor:
        """(models, n, features) as (models, n * pixels, channels)."""
        return values.view(len(values), -1, self._shape[3])

    def _spread(self, target: Tensor, values: Tensor) -> None:
        target.view(self._shape).copy_(values.unsqueeze(2).expand(self._shape))

    def _row(self) -> Tensor:
        return torch.empty_like(self._gain)

    def measure(self, z: Tensor, scratch: Scratch) -> Operation:
        """Mean and squared deviations of a chunk."""
        values = self._per_pixel(z)
        models, count, channels = values.shape
        deviations = scratch.get("deviations", models, count, channels)
        mean, squares = self._row(), self._row()
        self._moments.append((mean, squares))
        self._counts.append(count)
        self._weights = mean.new_tensor(self._counts).view(-1, 1, 1, 1) / sum(self._counts)

        def operation() -> None:
            torch.mean(values, 1, keepdim=True, out=mean)
            torch.sub(values, mean, out=deviations)
            torch.sum(deviations.square_(), 1, keepdim=True, out=squares)

        return operation

    def normalize(self) -> None:
        """The whole batch is measured: set scale and shift, move the running statistics."""
        count = sum(self._counts)
        means = torch.stack([mean for mean, _ in self._moments])
        mean = (means * self._weights).sum(0)
        between = (self._weights * (means - mean).square()).sum(0)
        variance = torch.stack([squares for _, squares in self._moments]).sum(0) / count + between
        self._mean, self._inverse = mean, (variance + self._eps).rsqrt()
        scale = self._gain * self._inverse
        self._spread(self._scale, scale)
        self._spread(self._shift, self._offset - mean * scale)
        self._running_mean.lerp_(mean + self._bias, self._momentum)
        unbiased = variance * (count / max(count - 1, 1))
        self._running_var.lerp_(unbiased, self._momentum)
        self._seen.add_(1)

    def use_running_statistics(self) -> None:
        """Set scale and shift as in evaluation mode."""
        scale = self._gain * (self._running_var + self._eps).rsqrt()
        self._spread(self._scale, scale)
        self._spread(self._shift, self._offset + (self._bias - self._running_mean) * scale)

    def apply(self, z: Tensor, a: Tensor) -> Operation:
        """a = max(normalized z, 0)."""

        def operation() -> None:
            torch.addcmul(self._shift, z, self._scale, out=a)
            a.clamp_min_(0)

        return operation

    def mask(self, z: Tensor, a: Tensor, grad_a: Tensor, d: Tensor, scratch: Scratch) -> Operation:
        """d = gradient behind ReLU, and its sums over a chunk."""
        gradients = self._per_pixel(d)
        models, count, channels = gradients.shape
        products = scratch.get("deviations", models, count, channels)
        sum_d, sum_dz = self._row(), self._row()
        self._sums.append((sum_d, sum_dz))

        def operation() -> None:
            _relu_gradient(grad_a, a, 0, grad_input=d)
            torch.sum(gradients, 1, keepdim=True, out=sum_d)
            torch.mul(d, z, out=products.view_as(d))
            torch.sum(products, 1, keepdim=True, out=sum_dz)

        return operation

    def collect(self) -> None:
        """All of d is summed: write the gradients of gain and offset, prepare that of z."""
        sum_d = torch.stack([d for d, _ in self._sums]).sum(0)
        sum_dz = torch.stack([dz for _, dz in self._sums]).sum(0)
        of_gain = (sum_dz - self._mean * sum_d) * self._inverse
        self._gain_gradient.copy_(of_gain)
        self._offset_gradient.copy_(sum_d)
        of_d = self._gain * self._inverse
        of_z = -of_d * self._inverse * of_gain / sum(self._counts)
        self._spread(self._of_d, of_d)
        self._spread(self._of_z, of_z)
        self._spread(self._constant, -of_d * sum_d / sum(self._counts) - of_z * self._mean)

    def gradient(self, z: Tensor, d: Tensor, grad_z: Tensor) -> Operation:
        """Gradient of z, linear in d and z."""

        def operation() -> None:
            torch.addcmul(self._constant, z, self._of_z, out=grad_z)
            grad_z.addcmul_(d, self._of_d)

        return operation
