"""Step ``similarity``: how similar the latents of all autoencoders of a study are."""

import math
from pathlib import Path

from tasks.artifacts.dataset import load_dataset
from tasks.artifacts.latent_maps import small_pictures
from tasks.artifacts.latents import load_latents
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step

COMPARED = 2_000  # test images, at most
SEED = 0  # of the order in which images are shuffled


def compare_latents(folder: Path, dataset: Entry, latents: list[Entry]) -> Result:
    """Linear CKA of each pair of autoencoders, on the same test images; the last row is pixels.

    Pixels are those of images whose sides are made 32 pixels at most. An undefined value is None,
    as that of constant latents. ``floor`` is the mean after the images
    of each were shuffled.
    """
    import torch

    from models.measures.similarity import cka_matrix, shuffled_cka

    same = {entry.inputs["dataset"] for entry in latents} == {dataset.fingerprint}
    assert same, "all latents are of the images of one dataset"
    features = [load_latents(entry).test[:COMPARED] for entry in latents]
    pixels = small_pictures(load_dataset(dataset).test_images[:COMPARED]).flatten(1).float()
    matrix = cka_matrix([*features, pixels])
    floor = shuffled_cka(features, torch.Generator().manual_seed(SEED))
    return {
        "images": len(pixels),
        "cka": [[_defined(value) for value in row] for row in matrix.tolist()],
        "floor": _defined(floor),
    }


def _defined(value: float) -> float | None:
    return value if math.isfinite(value) else None


similarity = Step(compare_latents, "similarity")
