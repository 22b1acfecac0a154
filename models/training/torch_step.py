"""The training step by torch's autograd, for any module.

It is the definition of the step. Another step may replace it where that is proved to be equal.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from models.networks.factories import seeded_everywhere
from models.objectives.objective import Objective, needs_of
from models.random_streams import random_stream
from models.specs import ConfigError, Precision
from models.training.cuda_graph import GraphedCall
from models.training.module_loss import LOSS, REPORTED, Batch, ModuleLoss, Result, State
from models.training.random_state import fill_with_noise
from models.training.stacked_parameters import StackedParameters
from models.training.trial import latent_shape, mapped, try_once

Compute = Callable[[State, State, Batch], Result]


class TorchTrainingStep:
    """Loss and gradients for a batch of ``n`` inputs of a shape, for a stack of equal modules.

    As ``TrainingStep`` says. The forward pass of several modules is mapped over them by vmap.
    Modules that draw random numbers, and others that vmap cannot map, train one by one. What they
    draw from the global random numbers of torch, numpy or Python comes from ``streams``, one for
    each module, and so does the noise of the objective.

    Raises ConfigError for a module without trained parameters, and what module and objective raise
    when they are tried.
    """

    def __init__(
        self,
        parameters: StackedParameters,
        module: nn.Module,
        n: int,
        shape: tuple[int, ...],
        objective: Objective,
        streams: Sequence[torch.Generator] = (),
        precision: Precision = "float32",
    ):
        if not parameters.names:
            raise ConfigError(f"{type(module).__name__} has no parameters to train")
        like, models = parameters.gradients, len(parameters)
        self._streams = streams or [random_stream(index, "noise") for index in range(models)]
        self.inputs = like.new_zeros(models, n, math.prod(shape))
        self.labels = torch.zeros(models, n, dtype=torch.long, device=like.device)
        self.total = like.new_zeros(models)
        needs = needs_of(objective)
        batch: Batch = {"inputs": self.inputs.unflatten(2, shape)}
        if needs.with_labels:
            batch["labels"] = self.labels
        self._noise: Tensor | None = None
        if needs.noise_like is not None:
            inner = shape if needs.noise_like == "image" else latent_shape(module, shape, like)
            batch["noise"] = self._noise = like.new_zeros(models, n, *inner)
        loss = ModuleLoss(module, objective, like.device, precision)
        trial = try_once(loss, *_states(parameters, 0), {k: v[0] for k, v in batch.items()})
        self.parts = {name: like.new_zeros(models) for name in trial.parts}
        totals = {REPORTED: self.total} | self.parts
        self._passes = [
            Pass(compute, parameters, index, batch, totals, None if trial.maps else stream)
            for compute, index, stream in self._split(loss, trial.maps)
        ]

    def _split(
        self, loss: ModuleLoss, maps: bool
    ) -> list[tuple[Compute, int | None, torch.Generator]]:
        """What computes which models: all at once, or one by one."""
        if maps and len(self.total) > 1:
            return [(mapped(loss), None, self._streams[0])]
        return [(loss.of, index, stream) for index, stream in enumerate(self._streams)]

    def __call__(self) -> None:
        """Compute loss and gradients for the batch in ``inputs`` and ``labels``."""
        if self._noise is not None:
            for noise, stream in zip(self._noise, self._streams, strict=True):
                fill_with_noise(noise, stream)
        for one in self._passes:
            one()


class Pass:
    """One forward and backward pass on fixed memory, of one model of a stack or of all.

    ``index`` is that of the model; without one there is a first axis of models everywhere. A slice
    of one large leaf would get gradients of the size of that leaf, so every parameter is a leaf
    that views the stacked values. With a ``stream`` random numbers come from it.
    """

    def __init__(
        self,
        compute: Compute,
        parameters: StackedParameters,
        index: int | None,
        batch: Batch,
        totals: State,
        stream: torch.Generator | None,
    ):
        self._compute, self._stream = compute, stream
        weights, self._buffers = _states(parameters, index)
        self._weights = {name: value.requires_grad_() for name, value in weights.items()}
        gradients = {name: parameters.weight(name)[1] for name in weights}
        self._gradients = list(_of_model(gradients, index).values())
        self._batch, self._totals = _of_model(batch, index), _of_model(totals, index)
        self._run: Callable[[], None] = self._once
        if parameters.gradients.is_cuda:
            changed = [*self._buffers.values(), *self._totals.values()]
            self._run = GraphedCall(self._once, changed, "a network")

    def __call__(self) -> None:
        """Set the gradients and the buffers, add to the totals."""
        stream = self._stream
        with nullcontext() if stream is None else seeded_everywhere(stream):
            self._run()

    def _once(self) -> None:
        scalars, replaced = self._compute(self._weights, self._buffers, self._batch)
        leaves = list(self._weights.values())
        gradients = torch.autograd.grad(scalars[LOSS].sum(), leaves, materialize_grads=True)
        torch._foreach_copy_(self._gradients, gradients)
        for name, total in self._totals.items():
            total.add_(scalars[name].detach())
        for name, value in replaced.items():
            self._buffers[name].copy_(value.detach())


def _of_model(stacked: State, index: int | None) -> State:
    return stacked if index is None else {name: value[index] for name, value in stacked.items()}


def _states(parameters: StackedParameters, index: int | None) -> tuple[State, State]:
    """Views of the parameters and of the buffers, of one model or of all."""
    weights = {name: parameters.weight(name)[0] for name in parameters.names}
    return _of_model(weights, index), _of_model(parameters.buffers, index)
