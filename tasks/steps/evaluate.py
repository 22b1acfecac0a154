"""Step ``evaluate``: how well one autoencoder reconstructs, compared with PCA."""

from pathlib import Path

from tasks.artifacts.autoencoder import load_autoencoder
from tasks.artifacts.dataset import load_dataset
from tasks.artifacts.reach import ERRORS_FILE, load_masks
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step
from tasks.reporting.image_grids import save_image_grid

LATENT_MAP, RECONSTRUCTIONS = "latent-map.png", "reconstructions.png"
THUMBNAIL = "thumbnail.png"


def evaluate_model(folder: Path, dataset: Entry, model: Entry, pca: Entry, reach: Entry) -> Result:
    """Losses over all pixels and over those that all networks of the study reach; dead units.

    A loss over some pixels is their part of the loss: the sum over these pixels divided by the
    number of all pixels. ``unreachable_test_loss`` is that of the pixels which this network cannot
    change. ``evaluated_train_loss`` is that of the training images with the final weights. Also
    writes figures, and the error of each pixel in each channel.
    """
    from safetensors.torch import save_file

    from models.inference import apply, squared_error_by_pixel
    from models.measures.latents import active_units, dead_units, images_fired_on, principal_plane
    from tasks.reporting.plots import latent_map, save

    images = load_dataset(dataset)
    autoencoder = load_autoencoder(model)
    originals = images.test_images[images.examples()]
    rebuilt = apply(autoencoder, originals)
    pixels = rebuilt.mul(255).round().byte()
    for name, scale in ((RECONSTRUCTIONS, 3), (THUMBNAIL, 1)):
        save_image_grid([originals, pixels], folder / name, scale)
    plane = principal_plane(apply(autoencoder.encoder, images.test_images))
    save(latent_map(plane, images.test_labels, dataset.result["classes"]), folder / LATENT_MAP)
    latents = apply(autoencoder.encoder, images.train_images)
    dead = dead_units(latents)
    test = squared_error_by_pixel(autoencoder, images.test_images)
    train = squared_error_by_pixel(autoencoder, images.train_images)
    save_file({"test": test, "train": train}, folder / ERRORS_FILE)
    reached, unreachable = load_masks(reach, model.result["spec"]["architecture"])
    latent_dim = autoencoder.spec.latent_dim
    is_variational = autoencoder.spec.latent_outputs > 1
    return {
        "dead": dead.nonzero().flatten().tolist(),
        "metrics": {
            "final_test_loss": float(test.mean()),
            "reachable_test_loss": float((test * reached).mean()),
            "unreachable_test_loss": float((test * unreachable).mean()),
            "evaluated_train_loss": float(train.mean()),
            "reachable_train_loss": float((train * reached).mean()),
            "pca_test_loss": _cut(pca.result["test_loss"], latent_dim),
            "reachable_pca_test_loss": _cut(reach.result["pca_test_loss"], latent_dim),
            "dead_units": int(dead.sum()),
            "active_units": int(active_units(latents).sum()) if is_variational else None,
            "constant_units": int((images_fired_on(latents) == 0).sum()),
        },
    }


def _cut(losses: list[float], latent_dim: int) -> float:
    """The loss with so many components, or with all if there are fewer."""
    return losses[min(latent_dim, len(losses) - 1)]


evaluate = Step(evaluate_model, "evaluate", logs_to="model")
