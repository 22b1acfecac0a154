"""Step ``traverse``: what each latent unit of one autoencoder changes, as a picture."""

from pathlib import Path

from tasks.artifacts.autoencoder import load_autoencoder
from tasks.artifacts.latents import load_latents
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step

MOST_UNITS = 10  # in the picture
PICTURE = "traversal.png"


def draw_traversal(folder: Path, model: Entry, latents: Entry, probed: Entry, steps: int) -> Result:
    """Draw one row of decoded images for each unit, from its 1 % to its 99 % quantile.

    The units whose ablation costs most come first; at most 10 are drawn.
    """
    from models.measures.decoded_latents import traversal
    from tasks.reporting.plots import image_rows, save

    decoder, found = load_autoencoder(model).decoder, load_latents(latents)
    losses = probed.result["ablation"]
    units = sorted(range(len(losses)), key=lambda unit: -losses[unit])[:MOST_UNITS]
    rows = {
        f"unit {unit}: {losses[unit]:+.4f}": traversal(decoder, found.test, unit, steps)
        for unit in units
    }
    save(image_rows(rows), folder / PICTURE)
    return {"units": units}


traverse = Step(
    draw_traversal,
    "traverse",
    logs_to="model",
    settings={"steps": "representation.traversal_steps"},
)
