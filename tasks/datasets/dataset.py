"""A dataset in memory: images and labels for training and testing."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class DatasetError(RuntimeError):
    """A dataset that cannot be used; the message says which file, and where to put a good one."""


EXAMPLES = 10  # test images that pictures show


class Dataset(NamedTuple):
    """Images (n, 28, 28) uint8 for training and testing; labels (n,) int64 if there are any."""

    train_images: "Tensor"
    test_images: "Tensor"
    train_labels: "Tensor | None" = None
    test_labels: "Tensor | None" = None

    def examples(self) -> list[int]:
        """The test images that pictures show: the first of each class, or the first."""
        if self.test_labels is None:
            return list(range(min(EXAMPLES, len(self.test_images))))
        labels = self.test_labels
        return [int((labels == label).nonzero()[0]) for label in labels.unique()[:EXAMPLES]]

    def labels(self) -> "tuple[Tensor, Tensor]":
        """Labels for training and testing. Raises DatasetError if there are none."""
        if self.train_labels is None or self.test_labels is None:
            raise DatasetError("the dataset has no labels")
        return self.train_labels, self.test_labels

    def tensors(self) -> "dict[str, Tensor]":
        """Everything that is there, by name."""
        return {name: tensor for name, tensor in self._asdict().items() if tensor is not None}
