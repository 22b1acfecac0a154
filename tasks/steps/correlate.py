"""Step ``correlate``: how strongly the latent coordinates of one autoencoder are correlated."""

import math
from pathlib import Path

from tasks.artifacts.autoencoder import load_autoencoder
from tasks.artifacts.dataset import load_dataset
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step


def correlate_latents(folder: Path, dataset: Entry, model: Entry) -> Result:
    """Mean |Pearson correlation| on the test set, the number of dead units, and a heat map.

    One mean is over pairs of live coordinates; the other counts NaN as 0, like the written study.
    An undefined mean is None.
    """
    from models.inference import apply
    from models.measures.latents import latent_correlation
    from tasks.reporting.plots import correlation_heat_map, save

    latents = apply(load_autoencoder(model).encoder, load_dataset(dataset).test_images)
    found = latent_correlation(latents)
    save(correlation_heat_map(found.matrix), folder / "correlation.png")
    means = {
        "mean_abs_correlation_live": found.mean_abs_live,
        "mean_abs_correlation_nan_as_zero": found.mean_abs_nan_as_zero,
    }
    defined = {name: value if math.isfinite(value) else None for name, value in means.items()}
    return {"metrics": {**defined, "dead_units": found.dead_units}}


correlate = Step(correlate_latents, "correlate", logs_to="model")
