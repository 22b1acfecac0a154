"""Step ``correlate``: how strongly the latent coordinates of one autoencoder are correlated."""

import math
from pathlib import Path

from tasks.artifacts.autoencoder import load_autoencoder
from tasks.artifacts.dataset import load_dataset
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step

SEED = 0  # of the order in which values are shuffled


def correlate_latents(folder: Path, dataset: Entry, model: Entry, evaluated: Entry) -> Result:
    """Mean |Pearson correlation| on the test set, effective rank, and a heat map.

    One mean is over pairs of live units; one counts NaN as 0, like the written study; one is that
    of shuffled values, the floor. Units that are dead on the training images are left out. An
    undefined mean is None.
    """
    import torch

    from models.inference import apply
    from models.measures.latents import effective_rank, latent_correlation
    from tasks.reporting.plots import correlation_heat_map, save

    latents = apply(load_autoencoder(model).encoder, load_dataset(dataset).test_images)
    dead = torch.zeros(latents.shape[1], dtype=torch.bool)
    dead[evaluated.result["dead"]] = True
    found = latent_correlation(latents, dead, torch.Generator().manual_seed(SEED))
    save(correlation_heat_map(found.matrix), folder / "correlation.png")
    rank = effective_rank(latents)
    metrics = {
        "mean_abs_correlation_live": found.mean_abs_live,
        "mean_abs_correlation_nan_as_zero": found.mean_abs_nan_as_zero,
        "mean_abs_correlation_shuffled": found.mean_abs_shuffled,
        "effective_rank": rank,
        "effective_rank_share": rank / len(dead),
    }
    defined = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
    return {"metrics": defined}


correlate = Step(correlate_latents, "correlate", logs_to="model")
