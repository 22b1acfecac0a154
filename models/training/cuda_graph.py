"""Computations on fixed GPU memory, recorded once and replayed."""

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

WARM_UP = 3  # runs before the recording, in which libraries choose their algorithms


class GraphedCall:
    """A function without arguments that a GPU replays as a CUDA graph from the first call on.

    The function reads and writes the same tensors in every call. ``changed`` are those that it
    changes and depends on: recording must not count as a call, so they are restored. Whatever
    the function does in Python happens only while it is recorded. If it cannot be recorded, for
    example because the CPU waits for a result, it runs as it is; a warning says that.
    """

    def __init__(self, function: Callable[[], None], changed: Sequence[Tensor], name: str):
        self._function, self._changed, self._name = function, changed, name
        self._graph: torch.cuda.CUDAGraph | None = None
        self._tried = False

    def __call__(self) -> None:
        """Run the function."""
        if not self._tried:
            self._tried = True
            self._graph = self._recorded()
        if self._graph is None:
            self._function()
        else:
            self._graph.replay()

    def _recorded(self) -> torch.cuda.CUDAGraph | None:
        kept = [tensor.clone() for tensor in self._changed]
        try:
            # warm-up draws random numbers that a call must draw again
            with torch.random.fork_rng([torch.cuda.current_device()]):
                return self._record()
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            warnings.warn(
                f"{self._name} trains without a CUDA graph, which is slower: {reason}",
                stacklevel=2,
            )
            return None
        finally:
            for tensor, value in zip(self._changed, kept, strict=True):
                tensor.copy_(value)

    def _record(self) -> torch.cuda.CUDAGraph:
        side, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self._function()
        torch.cuda.current_stream().wait_stream(side)
        with torch.cuda.graph(graph):
            self._function()
        return graph
