"""Step ``pca``: the linear limit, the test loss of PCA, at every latent size at once."""

from pathlib import Path

from tasks.artifacts.dataset import load_dataset
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step


def fit_linear_limit(folder: Path, dataset: Entry) -> Result:
    """Fit PCA to the training images; ``test_loss[k]`` is the test MSE with k components.

    Components after the ``rank`` of the training images change nothing.
    """
    from models.measures.pca import fit_pca

    tensors = load_dataset(dataset)
    train, test = (images.flatten(1) for images in (tensors.train_images, tensors.test_images))
    found = fit_pca(train, test)
    return {"test_loss": found.test_loss.tolist(), "rank": found.rank}


pca = Step(fit_linear_limit, "pca")
