"""What a training step must know of a module before it is built, found by trying it once."""

import copy
import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.networks.factories import seeded_everywhere
from models.training.module_loss import LOSS, REPORTED, Batch, ModuleLoss, Result, State
from models.training.random_state import state_without_torch

INPUTS = 2  # batch norm needs two


class Trial(NamedTuple):
    """What was found.

    ``maps``: vmap can map the module, which means that it draws no random numbers by itself.
    ``parts``: the names of the parts of its loss.
    """

    maps: bool
    parts: tuple[str, ...]


def try_once(loss: ModuleLoss, weights: State, buffers: State, batch: Batch) -> Trial:
    """Compute the loss of one module for the first inputs of a batch, of zeros.

    The state is not changed, and the random numbers of the process are neither used nor changed.
    Raises what the module and the objective raise.
    """
    few = {name: value[:INPUTS] for name, value in batch.items()}
    copies = _copy(weights), _copy(buffers)
    for value in copies[0].values():
        value.requires_grad_()
    stacked = [{n: v.unsqueeze(0) for n, v in one.items()} for one in (*copies, few)]
    with seeded_everywhere(0):
        before = state_without_torch()
        scalars = _mapped_scalars(loss, *stacked)
        maps = scalars is not None and state_without_torch() == before
        if scalars is None:
            scalars = loss.of(*copies, few).scalars
    return Trial(maps, tuple(name for name in scalars if name not in {LOSS, REPORTED}))


@torch.no_grad()
def latent_shape(module: nn.Module, shape: tuple[int, ...], like: Tensor) -> tuple[int, ...]:
    """The shape of one latent, as (d,), for inputs (n, *shape) with type and device of ``like``."""
    assert isinstance(module.encoder, nn.Module), "objectives with latent noise have an encoder"
    encoder = copy.deepcopy(module.encoder).to(like.device).eval()
    with seeded_everywhere(0):
        return tuple(encoder(like.new_zeros(INPUTS, *shape)).shape[1:])


def _mapped_scalars(loss: ModuleLoss, *stacked: State) -> State | None:
    """The scalars by vmap, None if it cannot map the module."""
    with warnings.catch_warnings():
        # where vmap would loop, slowly and with a warning, the loop of the training step is as good
        warnings.filterwarnings("error", message=".*performance drop")
        try:
            return mapped(loss)(*stacked).scalars
        except Exception:  # whatever torch raises for what it cannot map
            return None


def mapped(loss: ModuleLoss) -> Callable[[State, State, Batch], Result]:
    """The loss of a stack: all arguments and results have a first axis of models."""
    return torch.vmap(loss.of, randomness="error")


def _copy(state: State) -> State:
    return {name: value.detach().clone() for name, value in state.items()}
