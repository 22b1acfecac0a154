"""A small network and few images, for tests that train."""

import torch

from models.specs import ModelSpec, TrainingRecipe

SPEC = ModelSpec.written(depth=3, latent_dim=4)
IMAGES = torch.randint(
    0, 256, (60, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)
LABELS = torch.arange(60) % 3


def recipe(**changes):
    """A short training recipe."""
    return TrainingRecipe(**{"epochs": 2, "batch_size": 16, **changes})
