"""Temporary memory by name: all layers and chunks share it, so that it stays in the cache."""

from collections.abc import Callable

from torch import Tensor

Operation = Callable[[], object]  # one computation between tensors whose memory is fixed


class Scratch:
    """Temporary tensors with the type and device of ``like``.

    The same name and shape always give the same tensor, so an operation may find there whatever
    another operation wrote.
    """

    def __init__(self, like: Tensor):
        self._like = like
        self._tensors: dict[tuple[str, tuple[int, ...]], Tensor] = {}

    def get(self, name: str, *shape: int) -> Tensor:
        """The tensor of this name, of any shape; all zeros when it is first requested."""
        key = (name, shape)
        if key not in self._tensors:
            self._tensors[key] = self._like.new_zeros(shape)
        return self._tensors[key]
