"""Step ``interpolation_grid``: all walks of a seed in one figure."""

from pathlib import Path

from tasks.artifacts.walks import load_walks
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step


def draw_grid(folder: Path, walks: list[Entry]) -> Result:
    """Draw all walks: for each pair of labels, two rows per latent size and one row in pixels.

    The first of the two is straight, the second spherical.
    """
    from tasks.reporting.plots import image_rows, save

    rows = {}
    for pair in dict.fromkeys(tuple(entry.result["pair"]) for entry in walks):
        for entry in (e for e in walks if tuple(e.result["pair"]) == pair):
            tensors = load_walks(entry)
            shown = entry.result["parameters"]
            title = f"{shown['from']} to {shown['to']}"
            rows[f"{title}, d = {shown['latent_dim']}"] = tensors["decoded"]
            rows[f"{title}, d = {shown['latent_dim']}, spherical"] = tensors["spherical"]
        rows[f"{title}, pixels"] = tensors["pixels"]
    save(image_rows(rows), folder / "interpolations.png")
    return {}


interpolation_grid = Step(draw_grid, "interpolation_grid")
