"""Step ``package``: saves a trained network and its parts as MLflow models, to load and serve."""

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.artifacts.autoencoder import load_autoencoder
from tasks.artifacts.classifier import load_classifier
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step

if TYPE_CHECKING:
    from torch import nn


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
    latent, images = (autoencoder.spec.latent_dim,), tuple(model.result["image_shape"])
    return {
        "encoder": (autoencoder.encoder, images, latent),
        "decoder": (autoencoder.decoder, latent, images),
        "autoencoder": (autoencoder, images, images),
    }


def _classifier(model: Entry) -> dict[str, Part]:
    """The classifier returns one logit per class."""
    n_classes, images = len(model.result["confusion"]), tuple(model.result["image_shape"])
    return {"classifier": (load_classifier(model), images, (n_classes,))}


package = Step(package_model, "package", logs_to="model", shared=False)
