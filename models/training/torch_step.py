"""The training step by torch's autograd, for any module.

It is the definition of the step. Another step may replace it where that is proved to be equal.
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.func import functional_call

from models.objectives.objective import Objective
from models.training.stacked_parameters import StackedParameters

State = dict[str, Tensor]


class TorchTrainingStep:
    """Loss and gradients for a batch of ``n`` inputs of a shape, for a stack of equal modules.

    As ``TrainingStep`` says. The forward pass of several modules is mapped over them by vmap,
    which a module that draws random numbers does not allow.

    Raises RuntimeError, from torch, for a module that vmap cannot map, if there are several.
    """

    def __init__(
        self,
        parameters: StackedParameters,
        module: nn.Module,
        n: int,
        shape: tuple[int, ...],
        objective: Objective,
    ):
        like, models = parameters.gradients, len(parameters)
        self._module = copy.deepcopy(module).to(like.device).train()
        self._parameters, self._shape, self._objective = parameters, shape, objective
        names = [name for name, _ in module.named_parameters()]
        self._weights = {name: self._leaf(name) for name in names}
        self._gradients = [self._alone(parameters.weight(name)[1]) for name in names]
        self._buffers = {name: self._alone(value) for name, value in parameters.buffers.items()}
        self.inputs = like.new_zeros(models, n, math.prod(shape))
        self.labels = torch.zeros(models, n, dtype=torch.long, device=like.device)
        self.total = like.new_zeros(models)

    def _alone(self, stacked: Tensor) -> Tensor:
        """Without the axis of models if there is a single one, so that nothing maps over it."""
        return stacked[0] if len(self._parameters) == 1 else stacked

    def _leaf(self, name: str) -> Tensor:
        """A view of a parameter, with a gradient of its own.

        A slice of one large leaf would get gradients of the size of that leaf.
        """
        return self._alone(self._parameters.weight(name)[0]).requires_grad_()

    def _forward(self, weights: State, buffers: State, inputs: Tensor) -> Tensor:
        outputs: Tensor = functional_call(self._module, weights | buffers, (inputs,))
        return outputs

    def __call__(self) -> None:
        """Compute loss and gradients for the batch in ``inputs`` and ``labels``."""
        inputs = self.inputs.unflatten(2, self._shape)
        if len(self._parameters) == 1:
            outputs = self._forward(self._weights, self._buffers, inputs[0]).unsqueeze(0)
        else:
            outputs = torch.vmap(self._forward)(self._weights, self._buffers, inputs)
        loss = self._objective(outputs, self.labels if self._objective.with_labels else inputs)
        leaves = list(self._weights.values())
        gradients = torch.autograd.grad(loss.sum(), leaves, materialize_grads=True)
        torch._foreach_copy_(self._gradients, gradients)
        self.total += loss.detach()
