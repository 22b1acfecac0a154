"""Step ``own_measure``: a user's own measure of one autoencoder."""

from pathlib import Path

from tasks.artifacts.autoencoder import load_autoencoder
from tasks.artifacts.dataset import load_dataset
from tasks.artifacts.latents import load_latents
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step
from tasks.own_code.measure import call_measure

MEASURED = 2_000  # test images, at most


def measure_by_own_code(
    folder: Path, dataset: Entry, model: Entry, latents: Entry, name: str, measure: str
) -> Result:
    """Call the user's function, by the digest ``measure``, with the first 2,000 test images."""
    from models.inference import apply

    images, encoded = load_dataset(dataset), load_latents(latents).test[:MEASURED]
    labels = None if images.test_labels is None else images.test_labels[:MEASURED]
    value = call_measure(
        measure,
        images.test_images[:MEASURED].float() / 255,
        apply(load_autoencoder(model).decoder, encoded),
        encoded.clone(),
        None if labels is None else labels.clone(),
        model.result["recipe"]["seed"],
    )
    return {"metrics": {name: value}}


own_measure = Step(
    measure_by_own_code,
    "own_measure",
    logs_to="model",
    settings={"name": "measures", "measure": "measures"},
)
