"""Step ``latent_map``: latents of test images on maps of two dimensions."""

from pathlib import Path

from tasks.artifacts.dataset import load_dataset
from tasks.artifacts.latent_maps import LatentMaps, save_maps
from tasks.artifacts.latents import load_latents
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step


def map_latents(
    folder: Path, dataset: Entry, latents: list[Entry], images: int, seed: int
) -> Result:
    """Write maps of the latents of the same test images by PCA and t-SNE, and the images, small.

    ``seed`` chooses the images, if there are more, and is that of t-SNE.
    """
    import torch

    from models.measures.latents import principal_plane
    from models.random_streams import random_stream, stream_seed
    from tasks.analysis.probes import tsne_map

    data = load_dataset(dataset)
    order = torch.randperm(len(data.test_images), generator=random_stream(seed, "map images"))
    chosen, maps = order[:images], {}
    for place, entry in enumerate(latents):
        points = load_latents(entry).test[chosen]
        maps[f"{place} PCA"] = principal_plane(points).float()
        tsne = tsne_map(points, stream_seed(seed, "t-SNE") % 2**32)
        if tsne is not None:
            maps[f"{place} t-SNE"] = torch.from_numpy(tsne).float()
    labels = None if data.test_labels is None else data.test_labels[chosen]
    save_maps(folder, LatentMaps(maps, chosen, data.test_images[chosen], labels))
    return {"latent_dims": [entry.result["latent_dim"] for entry in latents], "images": len(chosen)}


latent_map = Step(map_latents, "latent_map", settings={"images": "representation.map_images"})
