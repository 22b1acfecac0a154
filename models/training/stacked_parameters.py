"""The parameters of a stack of equal modules in one tensor, updated together."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class StackedParameters:
    """Parameters and buffers of equal modules, with a leading axis of one entry per module.

    ``values`` and ``gradients`` are (models, parameters), ``buffers`` (models, ...) by name.
    Training steps keep views of all of them, so change them in place and never replace them.
    """

    def __init__(self, modules: Sequence[nn.Module], device: torch.device | str = "cpu"):
        first = modules[0]
        self._shapes = {name: value.shape for name, value in first.named_parameters()}
        flat = [torch.cat([one.flatten() for one in module.parameters()]) for module in modules]
        self.values = nn.Parameter(torch.stack(flat).detach().to(device))
        self.gradients = torch.zeros_like(self.values)
        self.values.grad = self.gradients
        self.buffers = {
            name: torch.stack([dict(module.named_buffers())[name] for module in modules]).to(device)
            for name, _ in first.named_buffers()
        }
        ends = torch.tensor([shape.numel() for shape in self._shapes.values()]).cumsum(0).tolist()
        starts = [0, *ends]
        self._places = {
            name: slice(start, end)
            for name, start, end in zip(self._shapes, starts, ends, strict=False)
        }

    def __len__(self) -> int:
        return len(self.values)

    def weight(self, name: str) -> tuple[Tensor, Tensor]:
        """Views of a parameter (models, ...) and of its gradient."""
        place, shape = self._places[name], self._shapes[name]
        value, gradient = self.values.detach(), self.gradients
        return value[:, place].unflatten(1, shape), gradient[:, place].unflatten(1, shape)

    def views(self, index: int) -> dict[str, Tensor]:
        """Views of the state of one module, by torch's names."""
        weights = {name: self.weight(name)[0][index] for name in self._shapes}
        return weights | {name: value[index] for name, value in self.buffers.items()}

    def state_dict(self, index: int) -> dict[str, Tensor]:
        """A copy of the state of one module, by torch's names."""
        return {name: value.clone() for name, value in self.views(index).items()}

    def load_state_dict(self, index: int, state: dict[str, Tensor]) -> None:
        """Set the state of one module, by torch's names."""
        for name in self._shapes:
            self.weight(name)[0][index].copy_(state[name])
        for name, value in self.buffers.items():
            value[index].copy_(state[name])
