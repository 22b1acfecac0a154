"""Step ``package``: saves a trained network and its parts as MLflow models, to load and serve."""

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.artifacts.autoencoder import load_autoencoder
from tasks.artifacts.classifier import load_classifier
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step
from tasks.datasets.dataset import SIDE

if TYPE_CHECKING:
    from torch import nn


IMAGE_SHAPE = (1, SIDE, SIDE)


def package_model(folder: Path, model: Entry) -> Result:
    """Save an autoencoder, its encoder and its decoder, or a classifier, each in its own folder."""
    from tasks.tracking.logged_models import save_model

    parts = _classifier(model) if model.task == "transfer" else _autoencoder(model)
    for name, (module, inputs, outputs) in parts.items():
        save_model(module, folder / name, inputs, outputs)
    return {"models": list(parts)}


Part = tuple["nn.Module", tuple[int, ...], tuple[int, ...]]  # shapes of one input and one output


def _autoencoder(model: Entry) -> dict[str, Part]:
    autoencoder = load_autoencoder(model)
    latent = (autoencoder.spec.latent_dim,)
    return {
        "encoder": (autoencoder.encoder, IMAGE_SHAPE, latent),
        "decoder": (autoencoder.decoder, latent, IMAGE_SHAPE),
        "autoencoder": (autoencoder, IMAGE_SHAPE, IMAGE_SHAPE),
    }


def _classifier(model: Entry) -> dict[str, Part]:
    """The classifier returns one logit per class."""
    n_classes = len(model.result["confusion"])
    return {"classifier": (load_classifier(model), IMAGE_SHAPE, (n_classes,))}


package = Step(package_model, "package", logs_to="model", shared=False)
