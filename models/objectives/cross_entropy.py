"""Cross entropy of a classifier's logits."""

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from models.objectives.objective import Extra


@dataclass(frozen=True)
class CrossEntropy:
    """Mean cross entropy in nats.

    ``softmax_first`` repeats the written study's mistake: it applies softmax to the logits, and
    cross entropy applies softmax again.

    With K classes and logits that are all equal, the mistake multiplies the gradient with respect
    to the logits by 1/K. The Jacobian of softmax is diag(p) - p p^T (Bridle 1990), at uniform
    p = 1/K it is (I - 1 1^T / K) / K. The gradient g of cross entropy with respect to its scores,
    softmax(scores) minus the one-hot label, sums to zero. At equal logits it is the same g with
    and without the first softmax, so the Jacobian turns g into g / K.
    """

    softmax_first: bool = False
    with_labels: ClassVar[bool] = True

    def __call__(self, classifier: Any, inputs: Tensor, extra: Extra) -> Tensor:
        """The mean over a batch of one classifier."""
        assert extra.labels is not None, "the training step gives labels"
        return self.of_logits(classifier(inputs), extra.labels)

    def of_logits(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean over n, of shape (...), for logits (..., n, classes) and labels (..., n)."""
        scores = logits.softmax(-1) if self.softmax_first else logits
        chosen = scores.log_softmax(-1).gather(-1, labels.unsqueeze(-1))
        return -chosen.squeeze(-1).mean(-1)
