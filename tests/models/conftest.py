"""What tests of the theory share."""

import torch


def seeded(seed=0):
    """A CPU generator with this seed."""
    return torch.Generator().manual_seed(seed)


def double(values):
    """A tensor in double precision."""
    return torch.tensor(values, dtype=torch.double)
