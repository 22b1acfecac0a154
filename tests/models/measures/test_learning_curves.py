import pytest

from models.measures.learning_curves import epochs_to_converge


@pytest.mark.parametrize(
    ("losses", "epochs"),
    [
        ([1.0, 0.5, 0.2, 0.1], 3.9),  # 0.11 is nine tenths of the way from 0.2 to 0.1
        ([1.0, 0.1, 0.5, 0.1], 3.975),  # the loss rises again after it was below 0.11
        ([0.5, 0.3, 0.1, 0.2], 2.4),
        ([0.7], 1),
        ([0.109, 0.1, 0.1], 1),
        ([0.1, 0.2, 0.3], 1),
        ([0.2, 0.0, 0.0], 2),
    ],
)
def test_convergence_is_when_the_loss_stays_near_its_last_value(losses, epochs):
    assert epochs_to_converge(losses) == pytest.approx(epochs)


def test_convergence_to_another_share():
    assert epochs_to_converge([1.0, 0.5, 0.2, 0.1], share=0.5) == pytest.approx(3.5)
