"""The parameters of a stack of equal modules in one tensor, updated together."""

from collections.abc import Sequence
from itertools import chain

import torch
from torch import Tensor, nn

from models.specs import ConfigError

DTYPES = (torch.float32, torch.float64)


def dtype_of(module: nn.Module) -> torch.dtype:
    """The type of a module's parameters; of its buffers, or float32, if it has none.

    Raises ConfigError for parameters of several types, or of another than float32 and float64.
    """
    name = type(module).__name__
    found = {
        one.dtype for one in module.parameters() if one.is_floating_point() or one.is_complex()
    }
    if found - set(DTYPES) or len(found) > 1:
        types = " and ".join(sorted(str(dtype).removeprefix("torch.") for dtype in found))
        raise ConfigError(f"{name} has parameters of {types}: give all of them float32 or float64")
    buffers = (buffer.dtype for buffer in module.buffers() if buffer.dtype in DTYPES)
    return next(chain(found, buffers), torch.float32)


class StackedParameters:
    """Parameters and buffers of equal modules, with a leading axis of one entry per module.

    ``values`` and ``gradients`` are (models, parameters), ``buffers`` (models, ...) by name; a
    parameter that needs no gradient is one of them. Training steps keep views of all of these, so
    change them in place and never replace them.

    Raises ConfigError as ``dtype_of`` does.
    """

    def __init__(self, modules: Sequence[nn.Module], device: torch.device | str = "cpu"):
        first = modules[0]
        trained = {n: value for n, value in first.named_parameters() if value.requires_grad}
        self._shapes = {name: value.shape for name, value in trained.items()}
        flat = [_flat(dict(module.named_parameters()), list(trained)) for module in modules]
        self.values = nn.Parameter(torch.stack(flat).to(device, dtype_of(first)))
        self.gradients = torch.zeros_like(self.values)
        self.values.grad = self.gradients
        states = [_state(module) for module in modules]
        self.buffers = {
            name: torch.stack([state[name] for state in states]).to(device)
            for name in states[0]
            if name not in trained
        }
        ends = torch.tensor([shape.numel() for shape in self._shapes.values()]).cumsum(0).tolist()
        starts = [0, *ends]
        self._places = {
            name: slice(start, end)
            for name, start, end in zip(self._shapes, starts, ends, strict=False)
        }

    def __len__(self) -> int:
        return len(self.values)

    @property
    def names(self) -> list[str]:
        """The names of the parameters that are trained."""
        return list(self._shapes)

    def weight(self, name: str) -> tuple[Tensor, Tensor]:
        """Views of a parameter (models, ...) and of its gradient."""
        place, shape = self._places[name], self._shapes[name]
        pair = self.values.detach()[:, place], self.gradients[:, place]
        value, gradient = (one.unflatten(1, shape) if shape else one[:, 0] for one in pair)
        return value, gradient

    def views(self, index: int) -> dict[str, Tensor]:
        """Views of the state of one module, tensors of any shape by torch's names."""
        weights = {name: self.weight(name)[0][index] for name in self._shapes}
        return weights | {name: value[index] for name, value in self.buffers.items()}

    def state_dict(self, index: int) -> dict[str, Tensor]:
        """A copy of the state of one module, tensors of any shape by torch's names."""
        return {name: value.clone() for name, value in self.views(index).items()}

    def load_state_dict(self, index: int, state: dict[str, Tensor]) -> None:
        """Set the state of one module, tensors of any shape by torch's names."""
        for name, value in self.views(index).items():
            value.copy_(state[name])

    @torch.no_grad()
    def copy_to(self, index: int, module: nn.Module) -> None:
        """Set parameters and buffers of a module, also of one with tied weights."""
        values = self.views(index)
        for name, value in _state(module).items():
            value.copy_(values[name])


def _flat(parameters: dict[str, nn.Parameter], names: list[str]) -> Tensor:
    """The values of these parameters, one after another; none if there is none."""
    return torch.cat([torch.empty(0), *(parameters[name].detach().flatten() for name in names)])


def _state(module: nn.Module) -> dict[str, Tensor]:
    """Parameters, then buffers, by name; tied ones once."""
    return {
        n: value.detach() for n, value in chain(module.named_parameters(), module.named_buffers())
    }
