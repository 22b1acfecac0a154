"""Step ``probe_controls``: probes of pixels and of principal components, which nothing trained."""

from pathlib import Path

from tasks.analysis.probes import Probed, probe_accuracies
from tasks.artifacts.dataset import load_dataset
from tasks.artifacts.latent_maps import small_pictures
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step


def probe_untrained_features(
    folder: Path, dataset: Entry, components: int | None, probe_images: int, neighbours: int
) -> Result:
    """Accuracies of both probes on pixels, or on so many principal components of the pixels.

    Pixels are those of images whose sides are made 32 pixels at most. The components are those of
    all training images as they are. Probes are fitted to the same training images as those of
    latents. ``largest_class`` is the share of the test images in the largest class.
    """
    from models.measures.pca import project
    from models.random_streams import probe_places

    images = load_dataset(dataset)
    labels = images.labels()
    chosen = probe_places(len(images.train_images), probe_images)
    sets = [images.train_images[chosen], images.test_images]
    if components is None:
        features = [small_pictures(one).flatten(1).float() / 255 for one in sets]
    else:
        flat = [one.flatten(1) for one in sets]
        features = project(images.train_images.flatten(1), flat, components)
    of = Probed(features[0], labels[0][chosen], features[1], labels[1])
    return {
        **probe_accuracies(of, neighbours),
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
