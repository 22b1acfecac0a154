"""Step ``pca``: the linear limit, the test loss of PCA, at every latent size at once."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from models.specs import ImageShape
from tasks.artifacts.dataset import load_dataset
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step

if TYPE_CHECKING:
    from torch import Tensor

    from models.measures.pca import PCA


LARGEST_EXACT = 4_096  # values of an image; exact components of more take gigabytes
FEWEST = 64  # components, so that a larger latent size seldom needs another fit
SEED = 0  # of the randomized components


def components_to_find(image_shape: ImageShape, latent_dims: Iterable[int]) -> int | None:
    """How many components a study with these latent sizes needs; None: all, which are exact."""
    values = math.prod(image_shape)
    if values <= LARGEST_EXACT:
        return None
    needed = max([FEWEST, *latent_dims])
    return min(values, 2 ** math.ceil(math.log2(needed)))


def fit_linear_limit(folder: Path, dataset: Entry, components: int | None = None) -> Result:
    """Fit PCA to the training images; ``test_loss[k]`` is the test MSE with k components.

    Components after the ``rank`` of the training images change nothing. With a number of
    components only these are found, by a randomized method, which ``exact`` says.
    """
    tensors = load_dataset(dataset)
    train, test = (images.flatten(1) for images in (tensors.train_images, tensors.test_images))
    found = fit(train, test, components)
    return {
        "test_loss": found.test_loss.tolist(),
        "rank": found.rank,
        "exact": components is None,
    }


def fit(train: "Tensor", test: "Tensor", components: int | None) -> "PCA":
    """PCA of images (n, values) uint8: all components, or a number of them."""
    import torch

    from models.measures.pca import fit_pca, fit_randomized_pca

    if components is None:
        return fit_pca(train, test)
    generator = torch.Generator().manual_seed(SEED)
    return fit_randomized_pca(train, test, components, generator)


pca = Step(fit_linear_limit, "pca", settings={"components": "latent_dims"})
