"""Outputs of a stack of equal modules in evaluation mode, by torch."""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.func import functional_call

from models.networks.factories import seeded_everywhere
from models.random_streams import random_stream
from models.training.stacked_parameters import StackedParameters, dtype_of
from models.training.step import fill

BATCH = 512  # inputs that go through a module together, on a CPU
GPU_BATCH = 2_000


class TorchInference:
    """The outputs of equal modules in evaluation mode, with their present weights.

    Inputs have a shape (features,) or (channels, height, width). The modules' state does not
    change. A module that draws random numbers in evaluation mode gets the same ones in every call.
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
        states = [self._parameters.state_dict(index) for index in range(models)]
        stream = random_stream(0, "evaluation")
        for part in inputs.split(GPU_BATCH if inputs.is_cuda else BATCH):
            x = self._parameters.gradients.new_empty(1, len(part), part[0].numel())
            fill(x, part.unsqueeze(0))
            arguments = (x[0].unflatten(1, self._shape),)
            with seeded_everywhere(stream):
                outputs = [functional_call(self._module, state, arguments) for state in states]
            yield x.expand(models, -1, -1), torch.stack(outputs)

    def __call__(self, inputs: Tensor) -> Tensor:
        """The modules' outputs (models, n, ...) for inputs (n, ...)."""
        return torch.cat([outputs for _, outputs in self.batches(inputs)], 1)


@torch.no_grad()
def draws_in_evaluation(module: nn.Module, inputs: Tensor) -> bool:
    """Whether two outputs of a module in evaluation mode differ, for inputs (n, ...).

    Inputs are as in ``TorchInference``. The module is not changed.
    """
    outputs = []
    for seed in (0, 1):
        x = torch.empty(1, len(inputs), inputs[0].numel(), dtype=dtype_of(module))
        fill(x, inputs.cpu().unsqueeze(0))
        with seeded_everywhere(seed):
            outputs.append(copy.deepcopy(module).cpu().eval()(x[0].view_as(inputs)))
    return not torch.equal(*(one.nan_to_num() for one in outputs))
