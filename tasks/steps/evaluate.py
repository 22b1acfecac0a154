"""Step ``evaluate``: how well one autoencoder reconstructs, compared with PCA."""

from pathlib import Path

from tasks.artifacts.autoencoder import load_autoencoder
from tasks.artifacts.dataset import load_dataset
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step
from tasks.reporting.image_grids import save_image_grid

LATENT_MAP, RECONSTRUCTIONS = "latent-map.png", "reconstructions.png"
THUMBNAIL = "thumbnail.png"


def evaluate_model(folder: Path, dataset: Entry, model: Entry, pca: Entry) -> Result:
    """Test loss, PCA's test loss at the same latent size, dead units, epochs to converge.

    Also writes figures: reconstructed examples, and the latent vectors in two dimensions.
    """
    from models.inference import apply, reconstruction_loss
    from models.measures.latents import dead_units, principal_plane
    from models.measures.learning_curves import epochs_to_converge
    from tasks.reporting.plots import latent_map, reconstruction_figure, save

    images = load_dataset(dataset)
    autoencoder = load_autoencoder(model)
    originals = images.test_images[images.examples()]
    rebuilt = apply(autoencoder, originals)
    save(reconstruction_figure(originals, {"reconstruction": rebuilt}), folder / RECONSTRUCTIONS)
    pixels = rebuilt.squeeze(1).mul(255).round().byte()
    save_image_grid([originals, pixels], folder / THUMBNAIL, scale=1)
    latents = apply(autoencoder.encoder, images.test_images)
    plane, classes = principal_plane(latents), dataset.result["classes"]
    save(latent_map(plane, images.test_labels, classes), folder / LATENT_MAP)
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
