"""What a training minimizes, as a protocol."""

from typing import ClassVar, Protocol

from torch import Tensor


class Objective(Protocol):
    """A loss of a stack of equal modules, one number for each."""

    with_labels: ClassVar[bool]  # whether outputs are compared with labels, not with the inputs

    def __call__(self, outputs: Tensor, targets: Tensor, /) -> Tensor:
        """The mean loss (models,) of outputs (models, n, ...), with the module's values.

        Targets are the inputs (models, n, ...) or labels (models, n).
        """
