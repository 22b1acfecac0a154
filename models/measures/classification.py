"""Measures of a classifier's predictions."""

import torch
from torch import Tensor


def accuracy(predicted: Tensor, labels: Tensor) -> float:
    """Share in [0, 1] of predicted classes (n,) that equal the labels (n,)."""
    return (predicted == labels).double().mean().item()


def confusion_matrix(predicted: Tensor, labels: Tensor, n_classes: int) -> Tensor:
    """Counts (classes, classes) of predicted classes (n,) in columns and labels (n,) in rows."""
    index = labels.long() * n_classes + predicted.long()
    return torch.bincount(index, minlength=n_classes**2).reshape(n_classes, n_classes)
