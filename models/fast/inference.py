"""Outputs of a stack of equal networks in evaluation mode."""

from collections.abc import Iterator

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
    """Inputs that go through a whole network together where nothing is learned."""
    return CHUNK * torch.get_num_threads() if device.type == "cpu" else 2_000


class StackedInference:
    """What a stack of equal networks gives in evaluation mode."""

    def __init__(self, parameters: StackedParameters, module: nn.Module):
        use_fast_matmul()
        self._parameters, self._module = parameters, module
        self._bound: dict[int, tuple[Tensor, list[Operation], list[Operation], Tensor]] = {}

    @torch.no_grad()
    def batches(self, inputs: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs (n, ...) in parts: (models, m, features) and what is given for them.

        Both are overwritten by the next part. Images are uint8, other inputs as they are.
        """
        prepared = set()
        for part in inputs.split(evaluation_batch(inputs.device)):
            size = len(part)
            if size not in self._bound:
                self._bound[size] = self._bind(size)
            taken, prepare, operations, given = self._bound[size]
            fill(taken, part.unsqueeze(0))
            for operation in operations if size in prepared else prepare + operations:
                operation()
            prepared.add(size)
            yield taken, given

    def __call__(self, inputs: Tensor) -> Tensor:
        """What the networks give for inputs (n, ...): (models, n, ...)."""
        return torch.cat([given.clone() for _, given in self.batches(inputs)], 1)

    def _bind(self, n: int) -> tuple[Tensor, list[Operation], list[Operation], Tensor]:
        like = self._parameters.gradients
        scratch = Scratch(like)
        layers = layers_of(self._module, self._parameters)
        taken = a = like.new_zeros(len(self._parameters), n, layers[0].inputs)
        prepare: list[Operation] = []
        operations: list[Operation] = []
        for layer in layers:
            z = like.new_zeros(len(a), n, layer.outputs)
            prepare.append(layer.map.prepare)
            operations.append(layer.map.bind(Chunk(a, z, None, None, True), scratch).forward)
            if isinstance(layer.activation, BatchNormReLU):
                prepare.append(layer.activation.use_running_statistics)
            if layer.activation is not None:
                operations.append(layer.activation.apply(z, z))
            a = z
        if layers[-1].output_bias is not None:
            loss, given = ReconstructionLoss(layers[-1].output_bias), a
            operations.append(lambda: loss.outputs(given))
        return taken, prepare, operations, a.unflatten(2, layers[-1].shape)
