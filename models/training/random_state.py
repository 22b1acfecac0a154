"""Random numbers of a training, apart from those of the process."""

import random

import numpy as np
import torch
from torch import Tensor


def fill_with_noise(target: Tensor, stream: torch.Generator) -> None:
    """Fill a target of any shape with standard normal numbers from a stream on the CPU.

    They are drawn on the device of the target.
    """
    if target.device.type == "cpu":
        target.normal_(generator=stream)
    else:
        seed = int(torch.randint(2**62, (), generator=stream))
        target.normal_(generator=torch.Generator(target.device).manual_seed(seed))


def state_without_torch() -> str:
    """The state of the global random numbers of numpy and Python, to notice that they were used."""
    return repr((random.getstate(), np.random.get_state(legacy=False)))
