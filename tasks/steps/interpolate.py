"""Step ``interpolate``: shows a straight and a spherical line through latent space."""

import re
from collections.abc import Sequence
from pathlib import Path

from models.specs import ModelSpec
from tasks.artifacts.autoencoder import load_autoencoder
from tasks.artifacts.dataset import load_dataset
from tasks.artifacts.walks import images_to_walk, save_walks, straight_line
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step

LONGEST_NAME = 40  # characters of a class in a file's name


def interpolate_pair(
    folder: Path, dataset: Entry, model: Entry, pair: tuple[int, int], steps: int
) -> Result:
    """Decode the lines between the latent vectors of the first test images of two labels.

    One is straight, one spherical. The straight line between the pixels of the images is drawn
    beside them. Step ``realism`` measures how real the images of straight lines are.
    """
    import torch

    from models.inference import apply
    from models.measures.decoded_latents import spherical_line
    from tasks.reporting.plots import image_rows, save

    images = load_dataset(dataset)
    ends = torch.stack([images_to_walk(images, label)[0] for label in pair])
    autoencoder = load_autoencoder(model)
    latents, pixels = apply(autoencoder.encoder, ends), ends.float() / 255
    walks = {
        "decoded": apply(autoencoder.decoder, straight_line(latents[0], latents[1], steps)),
        "spherical": apply(autoencoder.decoder, spherical_line(latents[0], latents[1], steps)),
        "pixels": straight_line(pixels[0], pixels[1], steps),
    }
    save_walks(folder, walks)
    size = f"d = {model.result['spec']['latent_dim']}"
    rows = {
        f"straight, {size}": walks["decoded"],
        f"spherical, {size}": walks["spherical"],
        "pixels": walks["pixels"],
    }
    start, end = names = [dataset.result["classes"][label] for label in pair]
    save(image_rows(rows, f"{start} to {end}"), folder / picture_name(names, pair))
    return {
        "pair": list(pair),
        "parameters": {"from": start, "to": end, **model_parameters(model)},
    }


def picture_name(classes: Sequence[str], pair: tuple[int, int]) -> str:
    """The name of the file for a walk between two classes, in letters, digits and ``_``."""
    parts = []
    for name, label in zip(classes, pair, strict=True):
        plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:LONGEST_NAME]
        parts.append(plain or str(label))
    return "-to-".join(parts) + ".png"


def model_parameters(model: Entry) -> Result:
    """The spec and seed of a trained model, as MLflow parameters."""
    spec = ModelSpec.model_validate(model.result["spec"])
    return {**spec.parameters(), "seed": model.result["recipe"]["seed"]}


interpolate = Step(
    interpolate_pair,
    "interpolate",
    kind="interpolation",
    settings={"pair": "interpolation.pairs", "steps": "interpolation.steps"},
)
