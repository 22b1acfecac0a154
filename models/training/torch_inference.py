"""Outputs of a stack of equal modules in evaluation mode, by torch."""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.func import functional_call

from models.training.stacked_parameters import StackedParameters
from models.training.step import fill

BATCH = 512  # inputs that go through a module together, on a CPU
GPU_BATCH = 2_000


class TorchInference:
    """The outputs of equal modules in evaluation mode, with their present weights.

    Inputs have a shape (features,) or (channels, height, width).
    """

    def __init__(self, parameters: StackedParameters, module: nn.Module, shape: tuple[int, ...]):
        self._parameters, self._shape = parameters, shape
        self._module = copy.deepcopy(module).to(parameters.values.device).eval()

    @torch.no_grad()
    def batches(self, inputs: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs (n, ...) in parts of m: the modules' inputs (models, m, features) and outputs.

        uint8 images become values in [0, 1]; other inputs are not changed.
        """
        models = len(self._parameters)
        states = [self._parameters.views(index) for index in range(models)]
        for part in inputs.split(GPU_BATCH if inputs.is_cuda else BATCH):
            x = self._parameters.gradients.new_empty(1, len(part), part[0].numel())
            fill(x, part.unsqueeze(0))
            arguments = (x[0].unflatten(1, self._shape),)
            outputs = [functional_call(self._module, state, arguments) for state in states]
            yield x.expand(models, -1, -1), torch.stack(outputs)

    def __call__(self, inputs: Tensor) -> Tensor:
        """The modules' outputs (models, n, ...) for inputs (n, ...)."""
        return torch.cat([outputs for _, outputs in self.batches(inputs)], 1)
