"""Step ``evaluate``: how well one autoencoder reconstructs, beside the linear limit."""

from pathlib import Path
from typing import Any

from tasks.data import load_dataset
from tasks.step import Step
from tasks.store import Entry
from tasks.train import load_model


def evaluate_model(folder: Path, dataset: Entry, model: Entry, pca: Entry) -> dict[str, Any]:
    """Test loss, PCA's test loss at the same latent size, dead units; one digit of each class."""
    from models.metrics import dead_units
    from models.trainers import apply, reconstruction_loss
    from tasks.plots import reconstruction_figure, save

    images = load_dataset(dataset)
    autoencoder = load_model(model)
    chosen = first_of_each_class(images.test_labels)
    originals = images.test_images[chosen]
    save(
        reconstruction_figure(originals, {"reconstruction": apply(autoencoder, originals)}),
        folder / "reconstructions.png",
    )
    latents = apply(autoencoder.encoder, images.test_images)
    latent_dim = model.result["spec"]["latent_dim"]
    return {
        "metrics": {
            "final_test_loss": reconstruction_loss(autoencoder, images.test_images),
            "pca_test_loss": pca.result["test_loss"][latent_dim],
            "dead_units": int(dead_units(latents).sum()),
        }
    }


def first_of_each_class(labels: Any) -> list[int]:
    """Index of the first image of each class, in the order of the classes; at most ten."""
    return [int((labels == label).nonzero()[0]) for label in labels.unique()[:10]]


evaluate = Step(evaluate_model, "evaluate", logs_to="model")
