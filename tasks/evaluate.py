"""Step ``evaluate``: how well one autoencoder reconstructs, beside the linear limit."""

from pathlib import Path
from typing import Any

from tasks.data import load_dataset
from tasks.images import save_images
from tasks.step import Step
from tasks.store import Entry
from tasks.train import load_autoencoder

LATENT_MAP, RECONSTRUCTIONS = "latent-map.png", "reconstructions.png"
THUMBNAIL = "thumbnail.png"


def evaluate_model(folder: Path, dataset: Entry, model: Entry, pca: Entry) -> dict[str, Any]:
    """Test loss, PCA's test loss at the same latent size, dead units; examples, a latent map."""
    from models.metrics import dead_units, epochs_to_converge, principal_plane
    from models.trainers import apply, reconstruction_loss
    from tasks.plots import latent_map, reconstruction_figure, save

    images = load_dataset(dataset)
    autoencoder = load_autoencoder(model)
    originals = images.test_images[images.examples()]
    rebuilt = apply(autoencoder, originals)
    save(reconstruction_figure(originals, {"reconstruction": rebuilt}), folder / RECONSTRUCTIONS)
    pixels = rebuilt.squeeze(1).mul(255).round().byte()
    save_images([originals, pixels], folder / THUMBNAIL, scale=1)
    latents = apply(autoencoder.encoder, images.test_images)
    save(latent_map(principal_plane(latents), images.test_labels), folder / LATENT_MAP)
    losses = [epoch["test_loss"] for epoch in model.result["history"]]
    latent_dim = model.result["spec"]["latent_dim"]
    return {
        "metrics": {
            "final_test_loss": reconstruction_loss(autoencoder, images.test_images),
            "pca_test_loss": pca.result["test_loss"][latent_dim],
            "dead_units": int(dead_units(latents).sum()),
            "epochs_to_converge": epochs_to_converge(losses),
        }
    }


evaluate = Step(evaluate_model, "evaluate", logs_to="model")
