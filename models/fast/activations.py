"""What follows a linear map: ReLU, or batch norm and ReLU, on fixed memory, chunk by chunk.

An activation turns the values z of a linear map into the input a of the next map. The backward pass
turns the gradient of a into d, the gradient of the ReLU's input, while the chunk is in the cache.
With batch norm, the gradient of z needs sums of d over the whole batch, so it is computed in a
later pass over the batch.
"""

import math

import torch
from torch import Tensor, nn

from models.fast.scratch import Operation, Scratch
from models.training.stacked_parameters import StackedParameters

_relu_gradient = torch.ops.aten.threshold_backward.grad_input


class ReLU:
    """ReLU alone; d is the gradient of z."""

    def apply(self, z: Tensor, a: Tensor) -> Operation:
        """Write a = max(z, 0); all (models, n, features)."""
        return lambda: torch.clamp_min(z, 0, out=a)

    def relu_backward(
        self, z: Tensor, a: Tensor, grad_a: Tensor, d: Tensor, scratch: Scratch
    ) -> Operation:
        """Write d, the gradient of z; all (models, n, features)."""
        return lambda: _relu_gradient(grad_a, z, 0, grad_input=d)


class BatchNormReLU:
    """Batch norm over images and pixels of channels-last maps, then ReLU.

    z leaves out the bias of the convolution before it, ``layer``, because batch norm subtracts it
    again; only the running mean contains it. The moments of the chunks are merged as in Chan,
    Golub and LeVeque (1979). Parameters and moments are (models, 1, channels).
    """

    def __init__(
        self,
        parameters: StackedParameters,
        name: str,
        layer: str,
        map_size: tuple[int, ...],
        norm: nn.BatchNorm2d,
    ):
        gain, offset = (parameters.weight(f"{name}.{part}") for part in ("weight", "bias"))
        self._gain, self._gain_gradient = (tensor.unsqueeze(1) for tensor in gain)
        self._offset, self._offset_gradient = (tensor.unsqueeze(1) for tensor in offset)
        self._bias = parameters.weight(f"{layer}.bias")[0].unsqueeze(1)
        buffers = parameters.buffers
        self._running_mean = buffers[f"{name}.running_mean"].unsqueeze(1)
        self._running_var = buffers[f"{name}.running_var"].unsqueeze(1)
        self._batches_tracked = buffers[f"{name}.num_batches_tracked"]
        self._eps, self._momentum = norm.eps, norm.momentum or 0.0
        pixels = math.prod(map_size)
        models, _, channels = self._gain.shape
        self._spread_shape = models, 1, pixels, channels
        # one value per feature, so that an operation needs no broadcasting over pixels
        per_feature = [self._gain.new_zeros(models, 1, pixels * channels) for _ in range(5)]
        self._scale, self._shift = per_feature[:2]  # normalized z = scale * z + shift
        # grad_z = d_factor * d + z_factor * z + constant
        self._d_factor, self._z_factor, self._constant = per_feature[2:]
        # one entry per chunk
        self._moments: list[tuple[Tensor, Tensor]] = []
        self._counts: list[int] = []
        self._gradient_sums: list[tuple[Tensor, Tensor]] = []

    def _by_channel(self, values: Tensor) -> Tensor:
        """(models, n, features) as (models, n * pixels, channels)."""
        return values.view(len(values), -1, self._spread_shape[3])

    def _spread(self, target: Tensor, values: Tensor) -> None:
        """Repeat values (models, 1, channels) for every pixel of the target."""
        target.view(self._spread_shape).copy_(values.unsqueeze(2).expand(self._spread_shape))

    def _new_row(self) -> Tensor:
        """Uninitialized (models, 1, channels)."""
        return torch.empty_like(self._gain)

    def measure(self, z: Tensor, scratch: Scratch) -> Operation:
        """Measure the mean and the sum of squared deviations of a chunk z (models, n, features)."""
        values = self._by_channel(z)
        models, count, channels = values.shape
        deviations = scratch.get("deviations", models, count, channels)
        mean, squares = self._new_row(), self._new_row()
        self._moments.append((mean, squares))
        self._counts.append(count)
        self._chunk_shares = mean.new_tensor(self._counts).view(-1, 1, 1, 1) / sum(self._counts)

        def operation() -> None:
            torch.mean(values, 1, keepdim=True, out=mean)
            torch.sub(values, mean, out=deviations)
            torch.sum(deviations.square_(), 1, keepdim=True, out=squares)

        return operation

    def use_batch_statistics(self) -> None:
        """Set scale and shift as in training mode, and update the running statistics.

        Every chunk of the batch is measured before.
        """
        count = sum(self._counts)
        means = torch.stack([mean for mean, _ in self._moments])
        mean = (means * self._chunk_shares).sum(0)
        between_chunks = (self._chunk_shares * (means - mean).square()).sum(0)
        within_chunks = torch.stack([squares for _, squares in self._moments]).sum(0) / count
        variance = within_chunks + between_chunks
        self._mean, self._inverse_deviation = mean, (variance + self._eps).rsqrt()
        scale = self._gain * self._inverse_deviation
        self._spread(self._scale, scale)
        self._spread(self._shift, self._offset - mean * scale)
        self._running_mean.lerp_(mean + self._bias, self._momentum)
        unbiased = variance * (count / max(count - 1, 1))
        self._running_var.lerp_(unbiased, self._momentum)
        self._batches_tracked.add_(1)

    def use_running_statistics(self) -> None:
        """Set scale and shift as in evaluation mode."""
        scale = self._gain * (self._running_var + self._eps).rsqrt()
        self._spread(self._scale, scale)
        self._spread(self._shift, self._offset + (self._bias - self._running_mean) * scale)

    def apply(self, z: Tensor, a: Tensor) -> Operation:
        """Write a = max(normalized z, 0); all (models, n, features)."""

        def operation() -> None:
            torch.addcmul(self._shift, z, self._scale, out=a)
            a.clamp_min_(0)

        return operation

    def relu_backward(
        self, z: Tensor, a: Tensor, grad_a: Tensor, d: Tensor, scratch: Scratch
    ) -> Operation:
        """Write d, the gradient of the normalized z, and sum d and d * z over a chunk.

        All are (models, n, features).
        """
        gradients = self._by_channel(d)
        models, count, channels = gradients.shape
        # the memory that the forward pass uses for deviations, which nothing reads any more
        products = scratch.get("deviations", models, count, channels)
        sum_d, sum_dz = self._new_row(), self._new_row()
        self._gradient_sums.append((sum_d, sum_dz))

        def operation() -> None:
            _relu_gradient(grad_a, a, 0, grad_input=d)
            torch.sum(gradients, 1, keepdim=True, out=sum_d)
            torch.mul(d, z, out=products.view_as(d))
            torch.sum(products, 1, keepdim=True, out=sum_dz)

        return operation

    def collect(self) -> None:
        """Write the gradients of gain and offset, and set the factors for the gradient of z.

        Every chunk of d is summed before.
        """
        count = sum(self._counts)
        sum_d = torch.stack([d for d, _ in self._gradient_sums]).sum(0)
        sum_dz = torch.stack([dz for _, dz in self._gradient_sums]).sum(0)
        gain_gradient = (sum_dz - self._mean * sum_d) * self._inverse_deviation
        self._gain_gradient.copy_(gain_gradient)
        self._offset_gradient.copy_(sum_d)
        d_factor = self._gain * self._inverse_deviation
        z_factor = -d_factor * self._inverse_deviation * gain_gradient / count
        self._spread(self._d_factor, d_factor)
        self._spread(self._z_factor, z_factor)
        self._spread(self._constant, -d_factor * sum_d / count - z_factor * self._mean)

    def norm_backward(self, z: Tensor, d: Tensor, grad_z: Tensor) -> Operation:
        """Write the gradient of z, which is linear in d and z; all (models, n, features)."""

        def operation() -> None:
            torch.addcmul(self._constant, z, self._z_factor, out=grad_z)
            grad_z.addcmul_(d, self._d_factor)

        return operation
