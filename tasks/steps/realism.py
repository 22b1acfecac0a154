"""Step ``realism``: how real the images on an autoencoder's latent walks are."""

import math
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from tasks.artifacts.autoencoder import load_autoencoder
from tasks.artifacts.classifier import load_classifier
from tasks.artifacts.dataset import load_dataset
from tasks.artifacts.walks import images_to_walk, straight_line
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step
from tasks.datasets.dataset import Dataset, DatasetError

if TYPE_CHECKING:
    from torch import Tensor

    from models.networks.autoencoder import Autoencoder
    from models.networks.classifier import Classifier


MOST_ENDS = 32  # test images of each label that walks start from
REFERENCE = 2_000  # training images that all images are compared with, at most
MOST_VALUES = 2**25  # of the images of all walks, and of the reference
CONTROL_SEED = 0  # of the random control images
Pairs = tuple[tuple[int, int], ...]


class RealImages(NamedTuple):
    """Images (n, c, h, w) uint8 of the labels to walk between, equally many of each.

    ``ends`` are test images by their label, all walks start and end there; ``others`` are other
    test images, as many where there are enough; ``reference`` are training images.
    """

    ends: "dict[int, Tensor]"
    others: "Tensor"
    reference: "Tensor"


def choose_images(dataset: Dataset, pairs: Pairs, steps: int = 2) -> RealImages:
    """The first images of every label in the pairs; ends are at most half of the test images.

    Of large images they are fewer, so that all images of the walks fit in memory.

    Raises DatasetError if a label has no test image or no training image.
    """
    import torch

    train_labels, _ = dataset.labels()
    labels = sorted({label for pair in pairs for label in pair})
    tested = {label: images_to_walk(dataset, label) for label in labels}
    trained = [dataset.train_images[train_labels == label] for label in labels]
    fewest = min(map(len, tested.values()))
    most = MOST_VALUES // math.prod(dataset.image_shape)  # images
    m = max(1, min(MOST_ENDS, fewest // 2, most // (len(pairs) * steps)))
    n_train = min(min(REFERENCE, most) // len(labels), *map(len, trained))
    if not n_train:
        raise DatasetError(
            f"interpolation.pairs: not every label of {labels}, counted from 0, has a training "
            "image; choose other classes or raise dataset.train_limit"
        )
    return RealImages(
        {label: images[:m] for label, images in tested.items()},
        torch.cat([images[m : min(2 * m, fewest)] for images in tested.values()]),
        torch.cat([images[:n_train] for images in trained]),
    )


def image_sets(
    autoencoder: "Autoencoder", chosen: RealImages, pairs: Pairs, steps: int
) -> "dict[str, Tensor]":
    """Sets of images (n, c, h, w) in [0, 1] by name, without those that would be empty.

    ``walk`` and ``pixel_mix`` hold what is between the ends of all walks; ``reconstructed`` are the
    decoded ends. ``real`` are the other test images, and control images are made of them.
    """
    import torch

    from models.inference import apply
    from models.measures.control_images import control_images

    ends, real = chosen.ends, chosen.others.float() / 255
    latents = {label: apply(autoencoder.encoder, images) for label, images in ends.items()}
    pixels = {label: images.float() / 255 for label, images in ends.items()}
    walked, mixed = (
        torch.cat([straight_line(x[a], x[b], steps)[1:-1].flatten(0, 1) for a, b in pairs])
        for x in (latents, pixels)
    )
    decoded = apply(autoencoder.decoder, torch.cat([walked, *latents.values()]))
    mean = chosen.reference.float().mean(0) / 255
    generator = torch.Generator().manual_seed(CONTROL_SEED)
    found = {
        "walk": decoded[: len(walked)],
        "reconstructed": decoded[len(walked) :],
        "pixel_mix": mixed,
        "real": real,
        **control_images(real, mean, generator),
    }
    return {name: images for name, images in found.items() if len(images)}


def judge_images(
    classifier: "Classifier", sets: "dict[str, Tensor]", reference: "Tensor"
) -> dict[str, dict[str, float]]:
    """The measures of each set that need a classifier: what it computes before its last layer.

    ``reference`` are real images (n, c, h, w) uint8. Recall is that of as many images of each set.
    """
    import torch

    from models.inference import apply
    from models.measures.feature_distances import RealFeatures
    from models.networks.classifier import feature_layers

    layers = feature_layers(classifier)
    real = RealFeatures(apply(layers, reference))
    sizes = [len(images) for images in sets.values()]
    parts = apply(layers, torch.cat([*sets.values()])).split(sizes)
    found = {}
    for name, features in zip(sets, parts, strict=True):
        generator = torch.Generator().manual_seed(CONTROL_SEED)
        chosen = torch.randperm(len(features), generator=generator)[: min(sizes)]
        with torch.no_grad():
            probabilities = classifier.head[-1](features).softmax(1)
        found[name] = {
            "kid": real.kernel_distance(features),
            "precision": real.precision(features),
            "recall": real.recall(features[chosen]),
            "confidence": float(probabilities.amax(1).mean()),
        }
    return found


def compare_pixels(images: "Tensor", reference: "Tensor") -> dict[str, float]:
    """The measures of images (n, c, h, w) in [0, 1] that need no classifier.

    ``reference`` are real images (m, c, h, w) uint8.
    """
    from models.measures.realism import nearest_distance, sharpness_distance

    return {
        "sharpness_distance": sharpness_distance(images, reference),
        "nearest_distance": float(nearest_distance(images, reference).mean()),
    }


def measure_walks(
    folder: Path, dataset: Entry, model: Entry, judges: list[Entry], pairs: Pairs, steps: int
) -> Result:
    """Measure the walks between images of all pairs of labels, and images to compare them with.

    ``images`` has, for each set of images and measure, a value for each classifier in ``judges``,
    or a single one where a measure needs none. A value that is not defined is None. ``counts`` are
    the images of each set. The metrics are means over the judges, for the walks.
    """
    chosen = choose_images(load_dataset(dataset), pairs, steps)
    sets = image_sets(load_autoencoder(model), chosen, pairs, steps)
    judged = [judge_images(load_classifier(one), sets, chosen.reference) for one in judges]
    images = {}
    for name, shown in sets.items():
        by_judge = [one[name] for one in judged]
        found = {measure: [one[measure] for one in by_judge] for measure in by_judge[0]}
        found |= {k: [value] for k, value in compare_pixels(shown, chosen.reference).items()}
        images[name] = {measure: list(map(_defined, values)) for measure, values in found.items()}
    return {
        "latent_dim": model.result["spec"]["latent_dim"],
        "seed": model.result["recipe"]["seed"],
        "counts": {name: len(shown) for name, shown in sets.items()},
        "images": images,
        "metrics": {f"walk_{name}": _mean(values) for name, values in images["walk"].items()},
    }


def _defined(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else None


realism = Step(
    measure_walks,
    "realism",
    logs_to="model",
    settings={"pairs": "interpolation.pairs", "steps": "interpolation.steps"},
)
