"""Cross entropy of a classifier's logits."""

from torch import Tensor


class CrossEntropy:
    """Mean cross entropy in nats.

    ``softmax_first`` repeats the written study's mistake: it applies softmax to the logits, and
    cross entropy applies softmax again.
    """

    def __init__(self, softmax_first: bool = False):
        self._softmax_first = softmax_first

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean over n, of shape (...), for logits (..., n, classes) and labels (..., n)."""
        scores = logits.softmax(-1) if self._softmax_first else logits
        chosen = scores.log_softmax(-1).gather(-1, labels.unsqueeze(-1))
        return -chosen.squeeze(-1).mean(-1)
