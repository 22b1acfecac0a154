"""Stacks of networks in double precision, and data for them."""

import torch

from models.fast.step import CHUNK
from models.networks.initialization import initialize
from models.specs import WRITTEN_SHAPE
from models.training.stacked_parameters import StackedParameters

MODELS = 3
N = 2 * CHUNK + 5  # whole chunks and a smaller last one
GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.rand(MODELS, N, 28, 28, generator=GENERATOR, dtype=torch.double)
LABELS = torch.randint(0, 10, (MODELS, N), generator=GENERATOR)


def make_stack(network, spec, models=MODELS):
    """Modules with different weights, and their stacked parameters."""
    modules = [network(spec, WRITTEN_SHAPE).double() for _ in range(models)]
    for seed, module in enumerate(modules):
        initialize(module, seed, 1.0)
    return modules, StackedParameters(modules)
