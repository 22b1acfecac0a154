"""The objective of a module as a function of its state and a batch."""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_map

from models.objectives.objective import Extra, Objective, loss_and_parts, needs_of
from models.objectives.registry import name_of
from models.objectives.squared_error import SquaredError, mean_square
from models.specs import ConfigError, Precision

State = dict[str, Tensor]
Batch = dict[str, Tensor]  # "inputs", and "labels" and "noise" where the objective needs them
PREFIX = "_module."
LOSS, REPORTED, OBJECTIVE_LOSS = "loss", "reported", "objective_loss"


class Result(NamedTuple):
    """Scalars by name, and the buffers that the module replaced by others.

    ``loss`` is minimized, ``reported`` is the mean squared error of the reconstructions, or the
    loss of a classifier. The others are numbers by epoch: parts of the loss, and it itself as
    ``objective_loss`` where another is reported.
    """

    scalars: dict[str, Tensor]
    replaced: State


class ModuleLoss(nn.Module):
    """An objective of a module in training mode.

    With precision bf16 the module computes in bfloat16 where autocast does that, and what it gives
    to the objective is float32.
    """

    def __init__(
        self,
        module: nn.Module,
        objective: Objective,
        device: torch.device,
        precision: Precision = "float32",
    ):
        super().__init__()
        self._module = copy.deepcopy(module).to(device).train()
        self._objective, self._name = objective, name_of(objective)
        self._reconstructions: list[Tensor] | None = None
        if precision == "bf16":
            for part in _parts(self._module):
                part.forward = _in_bfloat16(part.forward, device.type)
        if not needs_of(objective).with_labels and not isinstance(objective, SquaredError):
            self._reconstructions = []
            images = getattr(self._module, "decoder", self._module)
            images.register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, inputs: Any, outputs: Tensor) -> None:
        assert self._reconstructions is not None
        self._reconstructions.append(outputs)

    def forward(
        self, inputs: Tensor, labels: Tensor | None, noise: Tensor | None
    ) -> dict[str, Tensor]:
        """The loss and its parts, each a scalar, of a batch of inputs (n, ...) and labels (n,)."""
        try:
            value = self._objective(self._module, inputs, Extra(labels, noise))
            found = loss_and_parts(value, self._name)
            if self._reconstructions is None:
                return found | {REPORTED: found[LOSS]}
            return found | {REPORTED: self._squared_error(inputs), OBJECTIVE_LOSS: found[LOSS]}
        finally:
            if self._reconstructions:
                self._reconstructions.clear()

    def _squared_error(self, inputs: Tensor) -> Tensor:
        """Of the first reconstruction that the objective asked for."""
        for images in self._reconstructions or ():
            if images.numel() == inputs.numel():
                return mean_square(images.detach().reshape(inputs.shape), inputs)
        raise ConfigError(f"objective {self._name} reconstructs no image with the decoder")

    def of(self, weights: State, buffers: State, batch: Batch) -> Result:
        """The scalars of a batch with this state of the module. Changes buffers in place."""
        state = {PREFIX + name: value for name, value in (weights | buffers).items()}
        arguments = tuple(batch.get(name) for name in ("inputs", "labels", "noise"))
        scalars: dict[str, Tensor] = functional_call(self, state, arguments)
        # functional_call writes buffers that the module replaced into the state
        after = {name: state[PREFIX + name] for name in buffers}
        return Result(scalars, {n: v for n, v in after.items() if v is not buffers[n]})


def _parts(module: nn.Module) -> list[nn.Module]:
    """The modules that an objective calls."""
    encoder, decoder = (getattr(module, name, None) for name in ("encoder", "decoder"))
    found = [module, encoder, decoder, getattr(encoder, "network", None)]
    return [one for one in found if isinstance(one, nn.Module)]


def _in_bfloat16(forward: Callable[..., Any], device_type: str) -> Callable[..., Any]:
    """A forward pass under autocast, with outputs in float32."""

    def run(*arguments: Any, **options: Any) -> Any:
        with torch.autocast(device_type, torch.bfloat16, cache_enabled=False):
            outputs = forward(*arguments, **options)
        return tree_map(_in_float32, outputs)

    return run


def _in_float32(value: Any) -> Any:
    return value.float() if torch.is_tensor(value) and value.dtype == torch.bfloat16 else value
