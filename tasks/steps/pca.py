"""Step ``pca``: the linear limit, the test loss of PCA, at every latent size at once."""

import math
from collections.abc import Iterable
from pathlib import Path

from models.specs import ImageShape
from tasks.artifacts.dataset import load_dataset
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step

LARGEST_EXACT = 4_096  # values of an image; exact components of more take gigabytes
FEWEST = 64  # components, so that a larger latent size seldom needs another fit


def components_to_find(image_shape: ImageShape, latent_dims: Iterable[int]) -> int | None:
    """How many components a study with these latent sizes needs; None: all, which are exact."""
    values = math.prod(image_shape)
    if values <= LARGEST_EXACT:
        return None
    needed = max([FEWEST, *latent_dims])
    return min(values, 1 << (needed - 1).bit_length())


def fit_linear_limit(folder: Path, dataset: Entry, components: int | None = None) -> Result:
    """Fit PCA to the training images; ``test_loss[k]`` is the test MSE with k components.

    Components after the ``rank`` of the training images change nothing. With a number of
    components only these are found, by a randomized method, which ``exact`` says.
    """
    from models.measures.pca import fit_first

    tensors = load_dataset(dataset)
    train, test = (images.flatten(1) for images in (tensors.train_images, tensors.test_images))
    found = fit_first(train, test, components)
    return {
        "test_loss": found.test_loss.tolist(),
        "rank": found.rank,
        "exact": components is None,
    }


pca = Step(fit_linear_limit, "pca", settings={"components": "latent_dims"})
