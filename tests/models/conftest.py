"""What tests of the theory share."""

import torch

# Tests run side by side; more threads than cores make each of them many times slower.
torch.set_num_threads(1)


def seeded(seed=0):
    """A CPU generator with this seed."""
    return torch.Generator().manual_seed(seed)


def double(values):
    """A tensor in double precision."""
    return torch.tensor(values, dtype=torch.double)
