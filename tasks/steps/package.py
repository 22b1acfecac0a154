"""Step ``package``: a trained network, and its parts, as models that others load and serve."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.artifacts.autoencoder import load_autoencoder
from tasks.artifacts.classifier import load_classifier
from tasks.cache.entry import Entry
from tasks.cache.step import Step
from tasks.datasets.images import SIDE

if TYPE_CHECKING:
    from torch import nn


IMAGE = (1, SIDE, SIDE)


def package_model(folder: Path, model: Entry) -> dict[str, Any]:
    """An autoencoder, its encoder and its decoder, or a classifier, each in a folder of its own."""
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
        "encoder": (autoencoder.encoder, IMAGE, latent),
        "decoder": (autoencoder.decoder, latent, IMAGE),
        "autoencoder": (autoencoder, IMAGE, IMAGE),
    }


def _classifier(model: Entry) -> dict[str, Part]:
    """Gives logits, one for each class."""
    n_classes = len(model.result["confusion"])
    return {"classifier": (load_classifier(model), IMAGE, (n_classes,))}


package = Step(package_model, "package", logs_to="model")
