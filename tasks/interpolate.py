"""Steps ``interpolate`` and ``interpolation_grid``: straight lines through latent space."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.data import Dataset, load_dataset
from tasks.sources import DatasetError
from tasks.step import Step
from tasks.store import Entry
from tasks.train import load_model

if TYPE_CHECKING:
    from torch import Tensor

WALKS = "walks.safetensors"


def end_points(dataset: Dataset, pair: tuple[int, int]) -> "Tensor":
    """The first test image of each of two labels, (2, 28, 28) uint8.

    Raises DatasetError if the test set has no image of a label.
    """
    import torch

    found = []
    for label in pair:
        index = (dataset.test_labels == label).nonzero()
        if not len(index):
            raise DatasetError(f"interpolation.pairs: no test image has the label {label}")
        found.append(dataset.test_images[index[0, 0]])
    return torch.stack(found)


def walk(start: "Tensor", end: "Tensor", steps: int) -> "Tensor":
    """``steps`` points (steps, ...) on the straight line from start to end, both included."""
    import torch

    weights = torch.linspace(0, 1, steps).reshape(-1, *[1] * start.ndim)
    return torch.lerp(start.unsqueeze(0), end.unsqueeze(0), weights)


def interpolate_pair(
    folder: Path, dataset: Entry, model: Entry, pair: tuple[int, int], steps: int
) -> dict[str, Any]:
    """Decode the line between the latent vectors of two images; the line in pixels beside it."""
    from safetensors.torch import save_file

    from models.trainers import apply
    from tasks.plots import image_rows, save

    ends = end_points(load_dataset(dataset), pair)
    autoencoder = load_model(model)
    latents = apply(autoencoder.encoder, ends)
    decoded = apply(autoencoder.decoder, walk(latents[0], latents[1], steps)).squeeze(1)
    inputs = ends.float() / 255
    pixels = walk(inputs[0], inputs[1], steps)
    latent_dim = model.result["spec"]["latent_dim"]
    rows = {f"latent, d = {latent_dim}": decoded, "pixels": pixels}
    title = f"{pair[0]} to {pair[1]}"
    save(image_rows(rows, title), folder / f"{pair[0]}-to-{pair[1]}.png")
    save_file({"decoded": decoded.contiguous(), "pixels": pixels.contiguous()}, folder / WALKS)
    return {"pair": list(pair), "parameters": {"from": pair[0], "to": pair[1], **model_of(model)}}


def model_of(model: Entry) -> dict[str, Any]:
    """What identifies a trained model, as MLflow parameters."""
    return {**model.result["spec"], "seed": model.result["recipe"]["seed"]}


def draw_grid(folder: Path, walks: list[Entry]) -> dict[str, Any]:
    """All walks in one picture: per pair one row for each latent size and one in pixels."""
    from safetensors.torch import load_file

    from tasks.plots import image_rows, save

    rows = {}
    for pair in dict.fromkeys(tuple(entry.result["pair"]) for entry in walks):
        for entry in (e for e in walks if tuple(e.result["pair"]) == pair):
            tensors = load_file(entry.path(WALKS))
            latent_dim = entry.result["parameters"]["latent_dim"]
            rows[f"{pair[0]} to {pair[1]}, d = {latent_dim}"] = tensors["decoded"]
        rows[f"{pair[0]} to {pair[1]}, pixels"] = tensors["pixels"]
    save(image_rows(rows), folder / "interpolations.png")
    return {}


interpolate = Step(
    interpolate_pair,
    "interpolate",
    kind="interpolation",
    settings={"pair": "interpolation.pairs", "steps": "interpolation.steps"},
)
interpolation_grid = Step(draw_grid, "interpolation_grid")
