"""Outputs of a stack of equal networks in evaluation mode."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.fast.activations import BatchNormReLU
from models.fast.layers import layers_of
from models.fast.linear_maps import Chunk
from models.fast.losses import ReconstructionLoss
from models.fast.matmul_backend import use_fast_matmul
from models.fast.scratch import Operation, Scratch
from models.fast.step import CHUNK
from models.training.stacked_parameters import StackedParameters
from models.training.step import fill


def evaluation_batch(device: torch.device) -> int:
    """How many inputs go through the whole network together in evaluation mode."""
    return CHUNK * torch.get_num_threads() if device.type == "cpu" else 2_000


class ForwardPass(NamedTuple):
    """A forward pass in evaluation mode on fixed memory, for one number n of inputs.

    ``prepare`` reads the present weights; afterwards ``forward`` turns ``inputs`` (models, n,
    features) into ``outputs`` (models, n, ...), as often as it runs.
    """

    inputs: Tensor
    prepare: list[Operation]
    forward: list[Operation]
    outputs: Tensor


class StackedInference:
    """The outputs of a stack of equal networks in evaluation mode, with their present weights.

    Raises TypeError, when it runs, for a layer that has no counterpart here.
    """

    def __init__(self, parameters: StackedParameters, module: nn.Module):
        use_fast_matmul()
        self._parameters, self._module = parameters, module
        self._passes: dict[int, ForwardPass] = {}  # by number of inputs

    @torch.no_grad()
    def batches(self, inputs: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs (n, ...) in parts of m: the networks' inputs (models, m, features) and outputs.

        Both are overwritten by the next part. uint8 images become values in [0, 1]; other inputs
        are not changed.
        """
        prepared = set()  # the weights may have changed since the last call
        for part in inputs.split(evaluation_batch(inputs.device)):
            size = len(part)
            if size not in self._passes:
                self._passes[size] = self._bind(size)
            run = self._passes[size]
            fill(run.inputs, part.unsqueeze(0))
            for operation in run.forward if size in prepared else run.prepare + run.forward:
                operation()
            prepared.add(size)
            yield run.inputs, run.outputs

    def __call__(self, inputs: Tensor) -> Tensor:
        """The networks' outputs (models, n, ...) for inputs (n, ...)."""
        return torch.cat([outputs.clone() for _, outputs in self.batches(inputs)], 1)

    def _bind(self, n: int) -> ForwardPass:
        like = self._parameters.gradients
        scratch = Scratch(like)
        layers = layers_of(self._module, self._parameters)
        inputs = like.new_zeros(len(self._parameters), n, layers[0].inputs)
        prepare: list[Operation] = []
        forward: list[Operation] = []
        a = inputs
        for layer in layers:
            z = like.new_zeros(len(a), n, layer.outputs)
            chunk = Chunk(input=a, output=z, grad_input=None, grad_output=None, first=True)
            prepare.append(layer.linear_map.prepare)
            forward.append(layer.linear_map.bind(chunk, scratch).forward)
            if isinstance(layer.activation, BatchNormReLU):
                prepare.append(layer.activation.use_running_statistics)
            if layer.activation is not None:
                forward.append(layer.activation.apply(z, z))
            a = z
        last, outputs = layers[-1], a
        if last.output_bias is not None:
            loss = ReconstructionLoss(last.output_bias)
            forward.append(lambda: loss.outputs(outputs))
        return ForwardPass(inputs, prepare, forward, outputs.unflatten(2, last.shape))
