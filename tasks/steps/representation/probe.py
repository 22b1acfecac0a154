"""Step ``probe``: what the latents of one autoencoder hold, beside controls."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from models.specs import ModelSpec, TrainingRecipe
from tasks.analysis.probes import Probed, probe_accuracies
from tasks.artifacts.autoencoder import load_autoencoder
from tasks.artifacts.dataset import load_dataset
from tasks.artifacts.latents import Latents, load_latents
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step
from tasks.datasets.dataset import Dataset

if TYPE_CHECKING:
    from torch import Tensor, nn

    from models.networks.autoencoder import Autoencoder


COMPARED = 2_000  # test images, at most, of PSNR, SSIM and the intrinsic dimension
OF_ONE = ("linear_probe_accuracy", "knn_accuracy")  # kind of features
PROBES = tuple(
    f"{kind}{name}" for kind in ("", "untrained_", "shuffled_", "pca_", "pixel_") for name in OF_ONE
)


def measure_representation(
    folder: Path,
    dataset: Entry,
    model: Entry,
    latents: Entry,
    controls: dict[str, Entry],
    probe_images: int,
    neighbours: int,
    ablation_images: int,
) -> Result:
    """Probes, dimensions, image quality and ablations of one autoencoder.

    ``controls`` are entries of step ``probe_controls`` by ``pixel`` and ``pca``; without them there
    are no labels to probe, and accuracies are None. ``ablation`` has for each unit the rise of the
    loss of the first ``ablation_images`` test images when the unit is set to its mean.
    """
    from models.measures.decoded_latents import ablation_losses
    from models.measures.image_quality import image_quality
    from models.measures.latents import effective_rank, intrinsic_dimension

    images, found = load_dataset(dataset), load_latents(latents)
    autoencoder = load_autoencoder(model)
    quality = image_quality(
        images.test_images[:COMPARED], _decode(autoencoder, found.test[:COMPARED])
    )
    ablation = ablation_losses(
        autoencoder.decoder, found.test[:ablation_images], images.test_images[:ablation_images]
    )
    accuracies: dict[str, float | None] = dict.fromkeys(PROBES)
    if controls:
        accuracies |= _accuracies(images, model, found, probe_images, neighbours)
        for name, entry in controls.items():
            accuracies |= {f"{name}_{measure}": entry.result[measure] for measure in OF_ONE}
    return {
        "ablation": ablation.tolist(),
        "metrics": {
            **accuracies,
            "effective_rank": effective_rank(found.test),
            "intrinsic_dimension": intrinsic_dimension(found.test[:COMPARED]),
            "psnr": quality.psnr if math.isfinite(quality.psnr) else None,
            "ssim": quality.ssim,
            "largest_ablation": float(ablation.max()),
        },
    }


def _decode(autoencoder: "Autoencoder", latents: "Tensor") -> "Tensor":
    from models.inference import apply

    return apply(autoencoder.decoder, latents)


def _accuracies(
    images: Dataset, model: Entry, latents: Latents, probe_images: int, neighbours: int
) -> dict[str, float]:
    """Accuracies of the probes of trained and untrained latents, and with shuffled labels.

    The untrained encoder has the initial weights of the same seed. Shuffled are the labels that the
    probes of the trained latents are fitted to.
    """
    import torch

    from models.inference import apply
    from models.random_streams import probe_places, random_stream

    labels, tested = images.labels()
    chosen = probe_places(len(labels), probe_images)
    labels = labels[chosen]
    encoder, seed = _untrained_encoder(model), model.result["recipe"]["seed"]
    order = torch.randperm(len(labels), generator=random_stream(seed, "shuffled labels"))
    trained = Probed(latents.train[chosen], labels, latents.test, tested)
    kinds = {
        "": trained,
        "untrained_": trained._replace(
            train=apply(encoder, images.train_images[chosen]),
            test=apply(encoder, images.test_images),
        ),
        "shuffled_": trained._replace(train_labels=labels[order]),
    }
    found: dict[str, float] = {}
    for kind, probed in kinds.items():
        found |= probe_accuracies(probed, neighbours, kind)
    return found


def _untrained_encoder(model: Entry) -> "nn.Module":
    """The encoder of a trained autoencoder, with the weights that its training started from."""
    from models.networks.autoencoder import Autoencoder
    from models.networks.initialization import initialize, own_parts

    spec = ModelSpec.model_validate(model.result["spec"])
    recipe = TrainingRecipe.model_validate(model.result["recipe"])
    found = Autoencoder(spec, model.result["image_shape"], recipe.seed)
    initialize(found, recipe.seed, recipe.latent_bias, own_parts(spec))
    return found.encoder.eval()


probe = Step(
    measure_representation,
    "probe",
    logs_to="model",
    settings={
        "probe_images": "representation.probe_images",
        "neighbours": "representation.neighbours",
        "ablation_images": "representation.ablation_images",
    },
)
