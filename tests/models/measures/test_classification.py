import pytest
import torch

from models.measures.classification import accuracy, confusion_matrix

PREDICTED = torch.tensor([1, 1, 0])
LABELS = torch.tensor([0, 1, 0])


def test_accuracy_is_the_share_of_right_predictions():
    assert accuracy(PREDICTED, LABELS) == pytest.approx(2 / 3)


def test_the_confusion_matrix_has_labels_in_rows():
    assert confusion_matrix(PREDICTED, LABELS, 2).tolist() == [[1, 1], [0, 1]]
