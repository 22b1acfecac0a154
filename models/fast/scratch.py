"""Scratch memory by name, so that the passes over a batch reuse what is warm in the cache."""

from collections.abc import Callable

from torch import Tensor

Operation = Callable[[], object]  # a step between fixed places in memory


class Scratch:
    """Tensors like ``like`` in type and device; the same name and shape give the same tensor."""

    def __init__(self, like: Tensor):
        self._like = like
        self._tensors: dict[tuple[str, tuple[int, ...]], Tensor] = {}

    def get(self, name: str, *shape: int) -> Tensor:
        """Scratch of this shape, zero when it is first asked for."""
        key = (name, shape)
        if key not in self._tensors:
            self._tensors[key] = self._like.new_zeros(shape)
        return self._tensors[key]
