"""Step ``encode``: the latents of all training and test images of one autoencoder."""

from pathlib import Path

from tasks.artifacts.autoencoder import load_autoencoder
from tasks.artifacts.dataset import load_dataset
from tasks.artifacts.latents import Latents, save_latents
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step


def encode_images(folder: Path, dataset: Entry, model: Entry) -> Result:
    """Write the latents (n, d) of both parts of the dataset, with their labels.

    Those of a variational autoencoder are the means.
    """
    from models.inference import apply

    images, encoder = load_dataset(dataset), load_autoencoder(model).encoder
    latents = Latents(
        apply(encoder, images.train_images),
        apply(encoder, images.test_images),
        images.train_labels,
        images.test_labels,
    )
    save_latents(folder, latents)
    n_train, latent_dim = latents.train.shape
    return {"latent_dim": latent_dim, "n_train": n_train, "n_test": len(latents.test)}


encode = Step(encode_images, "encode")
