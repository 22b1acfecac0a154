"""Step ``probe_controls``: probes of pixels and of principal components, which nothing trained."""

from pathlib import Path

from tasks.analysis.probes import Probed, knn_accuracy, linear_probe_accuracy
from tasks.artifacts.dataset import load_dataset
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step


def probe_untrained_features(
    folder: Path, dataset: Entry, components: int | None, probe_images: int, neighbours: int
) -> Result:
    """Accuracies of both probes on pixels, or on so many principal components of the pixels.

    The components are those of all training images. Probes are fitted to the same training images
    as those of latents. ``largest_class`` is the share of the test images in the largest class.
    """
    from models.measures.pca import project
    from models.random_streams import probe_places

    images = load_dataset(dataset)
    labels = images.labels()
    chosen = probe_places(len(images.train_images), probe_images)
    train, test = images.train_images[chosen].flatten(1), images.test_images.flatten(1)
    if components is None:
        features = [train.float() / 255, test.float() / 255]
    else:
        features = project(images.train_images.flatten(1), [train, test], components)
    of = Probed(features[0], labels[0][chosen], features[1], labels[1])
    return {
        "linear_probe_accuracy": linear_probe_accuracy(of),
        "knn_accuracy": knn_accuracy(of, neighbours),
        "largest_class": float(labels[1].bincount().max() / len(labels[1])),
    }


probe_controls = Step(
    probe_untrained_features,
    "probe_controls",
    settings={
        "components": "latent_dims",
        "probe_images": "representation.probe_images",
        "neighbours": "representation.neighbours",
    },
)
