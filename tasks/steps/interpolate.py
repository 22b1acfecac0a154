"""Step ``interpolate``: decodes straight lines through latent space."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.artifacts.autoencoder import load_autoencoder
from tasks.artifacts.classifier import load_classifier
from tasks.artifacts.dataset import load_dataset
from tasks.artifacts.walks import save_walks
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step
from tasks.datasets.dataset import Dataset, DatasetError

if TYPE_CHECKING:
    from torch import Tensor

    from models.networks.classifier import Classifier


LONGEST_NAME = 40  # characters of a class in a file's name
MEASURED_PAIRS = 32  # pairs of images whose walks are measured; the first walk is shown


def end_points(dataset: Dataset, pair: tuple[int, int], n: int = 1) -> "Tensor":
    """The first test images with each of two labels: (2, m, 28, 28) uint8, m at most n.

    Raises DatasetError if the test set has no image with a label.
    """
    import torch

    _, labels = dataset.labels()
    found = []
    for label in pair:
        index = (labels == label).nonzero()[:n, 0]
        if not len(index):
            raise DatasetError(
                f"interpolation.pairs: no test image has the label {label}, counted from 0; choose "
                "other classes or raise dataset.test_limit"
            )
        found.append(dataset.test_images[index])
    m = min(map(len, found))
    return torch.stack([images[:m] for images in found])


def straight_line(start: "Tensor", end: "Tensor", steps: int) -> "Tensor":
    """Equally spaced points (steps, ...) from ``start`` to ``end`` (...), both included."""
    import torch

    weights = torch.linspace(0, 1, steps).reshape(-1, *[1] * start.ndim)
    return torch.lerp(start.unsqueeze(0), end.unsqueeze(0), weights)


def interpolate_pair(
    folder: Path, dataset: Entry, model: Entry, judge: Entry, pair: tuple[int, int], steps: int
) -> Result:
    """Decode the lines between the latent vectors of images of two labels, and measure them.

    The images between the ends are compared with real images: their sharpness, the confidence of
    the classifier ``judge``, and the distance to the nearest training image. The same lines between
    the pixels of the images are the control.
    """
    from models.inference import apply
    from tasks.reporting.plots import image_rows, save

    images = load_dataset(dataset)
    ends = end_points(images, pair, MEASURED_PAIRS)
    autoencoder, classifier = load_autoencoder(model), load_classifier(judge)
    latents = apply(autoencoder.encoder, ends.flatten(0, 1)).unflatten(0, ends.shape[:2])
    points = straight_line(latents[0], latents[1], steps)
    decoded = apply(autoencoder.decoder, points.flatten(0, 1)).reshape(steps, -1, *ends.shape[2:])
    real = ends.float() / 255
    pixels = straight_line(real[0], real[1], steps)

    first = {"decoded": decoded[:, 0], "pixels": pixels[:, 0]}
    save_walks(folder, first)
    latent_dim = model.result["spec"]["latent_dim"]
    rows = {f"latent, d = {latent_dim}": first["decoded"], "pixels": first["pixels"]}
    start, end = names = [dataset.result["classes"][label] for label in pair]
    save(image_rows(rows, f"{start} to {end}"), folder / picture_name(names, pair))
    measures = {"": decoded[1:-1], "pixel_": pixels[1:-1], "real_": real}
    metrics: dict[str, float] = {}
    for prefix, shown in measures.items():
        found = measure_images(
            shown.flatten(0, 1), real.flatten(0, 1), images.train_images, classifier
        )
        metrics |= {f"{prefix}{name}": value for name, value in found.items()}
    return {
        "pair": list(pair),
        "parameters": {"from": start, "to": end, **model_parameters(model)},
        "metrics": metrics,
    }


def picture_name(classes: Sequence[str], pair: tuple[int, int]) -> str:
    """The name of the file for a walk between two classes, in letters, digits and ``_``."""
    parts = []
    for name, label in zip(classes, pair, strict=True):
        plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:LONGEST_NAME]
        parts.append(plain or str(label))
    return "-to-".join(parts) + ".png"


def measure_images(
    images: "Tensor", real: "Tensor", reference: "Tensor", classifier: "Classifier"
) -> dict[str, float]:
    """Means over images (n, 28, 28) in [0, 1].

    ``sharpness`` is their gradient energy divided by that of the real images (k, 28, 28) in [0, 1];
    ``confidence`` is the classifier's highest class probability; ``nearest_distance`` is the root
    mean squared difference per pixel to the nearest of the reference images (m, 28, 28) uint8.
    """
    from models.inference import apply
    from models.measures.realism import gradient_energy, nearest_distance

    probabilities = apply(classifier, images).softmax(1)
    return {
        "sharpness": float(gradient_energy(images).mean() / gradient_energy(real).mean()),
        "confidence": float(probabilities.amax(1).mean()),
        "nearest_distance": float(nearest_distance(images, reference).mean()),
    }


def model_parameters(model: Entry) -> Result:
    """The spec and seed of a trained model, as MLflow parameters."""
    return {**model.result["spec"], "seed": model.result["recipe"]["seed"]}


interpolate = Step(
    interpolate_pair,
    "interpolate",
    kind="interpolation",
    settings={"pair": "interpolation.pairs", "steps": "interpolation.steps"},
)
