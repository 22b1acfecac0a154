import pytest
import torch

from models.objectives.cross_entropy import CrossEntropy


def gradient(logits, labels, softmax_first):
    """Of the mean loss with respect to the logits."""
    leaf = logits.clone().requires_grad_()
    (found,) = torch.autograd.grad(CrossEntropy(softmax_first).of_logits(leaf, labels), leaf)
    return found


@pytest.mark.parametrize("classes", [2, 10])
@pytest.mark.parametrize("level", [0.0, -3.0])
def test_at_uniform_outputs_a_second_softmax_divides_the_gradient_by_the_classes(classes, level):
    logits = torch.full((4, classes), level, dtype=torch.float64)
    labels = torch.tensor([0, 1, 1, classes - 1])
    with_softmax, without = (gradient(logits, labels, first) for first in (True, False))
    assert without.norm() > 0.3
    torch.testing.assert_close(with_softmax, without / classes, rtol=1e-12, atol=0)


def test_elsewhere_the_ratio_is_another():
    logits = torch.tensor([[2.0, 0.0, 0.0]], dtype=torch.float64)
    with_softmax, without = (gradient(logits, torch.tensor([1]), first) for first in (True, False))
    assert abs(with_softmax.norm() / without.norm() - 1 / 3) > 0.1
