"""A dataset in memory: images and labels for training and testing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class DatasetError(RuntimeError):
    """A dataset that cannot be used. The message names the file and says what to do."""


TEST_SHARE = 0.2  # of the images of a dataset that is not split
VALIDATION_SEED = 1  # of the choice of training images that are set aside
EXAMPLES = 10  # the number of test images in figures


class Reading(NamedTuple):
    """How the files of a dataset were read.

    ``levels`` is the range that became black to white, None for datasets that are not a user's
    own; ``skipped`` is the number of files that could not be read.
    """

    levels: tuple[float, float] | None = None
    skipped: int = 0
    notes: Sequence[str] = ()


def split_places(
    n: int, labels: "Tensor | None", size: int | float, seed: int
) -> tuple[list[int], list[int]]:
    """The places of n images in random order, and of a number or a share of them set aside.

    With labels (n,) each class has the same share of both.
    """
    from sklearn.model_selection import train_test_split

    kept, aside = train_test_split(
        range(n),
        test_size=size,
        random_state=seed,
        stratify=None if labels is None else labels.numpy(),
    )
    return kept, aside


class Dataset(NamedTuple):
    """Images and labels for training and testing, and for validation if some were set aside.

    Images are (n, channels, height, width) uint8; labels (n,) int64 if there are any.
    """

    train_images: "Tensor"
    test_images: "Tensor"
    train_labels: "Tensor | None" = None
    test_labels: "Tensor | None" = None
    validation_images: "Tensor | None" = None
    validation_labels: "Tensor | None" = None

    def examples(self) -> list[int]:
        """The indices of at most 10 test images for figures.

        The first image of each class, or without labels the first images.
        """
        if self.test_labels is None:
            return list(range(min(EXAMPLES, len(self.test_images))))
        labels = self.test_labels
        return [int((labels == label).nonzero()[0]) for label in labels.unique()[:EXAMPLES]]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The channels, height and width of every image."""
        _, channels, height, width = self.train_images.shape
        return channels, height, width

    def labels(self) -> "tuple[Tensor, Tensor]":
        """Labels (n,) int64 for training and testing. Raises DatasetError if there are none."""
        if self.train_labels is None or self.test_labels is None:
            raise DatasetError("the dataset has no labels")
        return self.train_labels, self.test_labels

    def with_validation(self, n: int) -> "Dataset":
        """The same with n of the training images set aside, with equal shares of each class.

        They are chosen by a seed of their own. Without n nothing is changed. Raises DatasetError
        for a class with a single image.
        """
        if not n:
            return self
        labels = self.train_labels
        if labels is not None and int(labels.unique(return_counts=True)[1].min()) < 2:
            raise DatasetError(
                "dataset.validation: a class has a single training image, which cannot be in both "
                "parts; add images of it, or leave the class out"
            )
        parts = split_places(len(self.train_images), labels, n, VALIDATION_SEED)
        kept, aside = map(sorted, parts)  # images stay in their order
        return self._replace(
            train_images=self.train_images[kept],
            validation_images=self.train_images[aside],
            train_labels=None if labels is None else labels[kept],
            validation_labels=None if labels is None else labels[aside],
        )

    def tensors(self) -> "dict[str, Tensor]":
        """Images (n, c, h, w) and labels (n,) by name, without those that are None."""
        return {name: tensor for name, tensor in self._asdict().items() if tensor is not None}
